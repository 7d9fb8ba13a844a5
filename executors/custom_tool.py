"""custom: any program. Its exit code is the verdict, and a JUnit file the detail where the request names one."""

from executors import junit_reader
from executors.tool import Command, RunFolders
from executors.untrusted import UnreadableError, open_file
from model.request import TestRequest
from model.result import Report, Summary


class CustomTool:
    """The tool `custom`."""

    def command(self, request: TestRequest, folders: RunFolders) -> Command:
        """Run the request's own command in the folder that `content.path` names, or in that of the file it names."""
        if request.command is None:
            msg = "custom needs a command; model.check refuses a request without one"
            raise ValueError(msg)
        entry = folders.work / folders.entry
        return Command(argv=(*request.command, *request.arguments), cwd=entry if entry.is_dir() else entry.parent)

    def read(self, request: TestRequest, folders: RunFolders) -> Report:
        """Return the JUnit file's results. Its path is relative to the results folder: no old file can be there."""
        if request.junit is None:
            return Report(finished=True)
        path = folders.results / request.junit
        if ".." in path.parts or not path.resolve().is_relative_to(folders.results.resolve()):
            return Report(broken=f"junit: {request.junit!r} leads out of $ASSAY_RESULTS_DIR", planned=0)
        try:
            with open_file(path, junit_reader.LARGEST) as file:
                return junit_reader.read(file)
        except UnreadableError as error:
            return Report(broken=f"{error}; write the JUnit file to $ASSAY_RESULTS_DIR/{request.junit}")

    def progress(self, folders: RunFolders) -> Summary:  # noqa: ARG002  one shape for all tools
        """Return nothing known: a JUnit file is written at the end."""
        return Summary(total=0, passed=0, failed=0, skipped=0)
