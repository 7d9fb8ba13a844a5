"""TRACE.csv and NODES.csv: read as they are written by people and by spreadsheets, or refused with every problem."""

from datetime import timedelta

import pytest

from model.problems import InvalidError
from model.resources import Resources
from scheduler.simulation.trace import LONGEST_LABELS, TraceRun, read_nodes, read_trace

HEADER = "submit_seconds,duration_seconds,cpu_milli,memory_mib,gpu,priority,team,user\n"
NODES = "name,cpu_milli,memory_mib,gpu,labels,count\n"


def problems(text: str) -> list[tuple[str, str]]:
    with pytest.raises(InvalidError) as refused:
        read_trace(text)
    return [(problem.path, problem.message) for problem in refused.value.problems]


def node_problems(text: str) -> list[tuple[str, str]]:
    with pytest.raises(InvalidError) as refused:
        read_nodes(text)
    return [(problem.path, problem.message) for problem in refused.value.problems]


def test_a_run_has_what_its_line_says() -> None:
    (run,) = read_trace(HEADER + "1.5,20,500,256,1,2,shop,ann\n")

    assert run == TraceRun(
        submit=timedelta(seconds=1.5),
        duration=timedelta(seconds=20),
        resources=Resources(cpu_milli=500, memory_bytes=256 * 2**20, gpu=1),
        priority=2,
        team="shop",
        user="ann",
    )


def test_missing_columns_and_empty_cells_have_their_defaults() -> None:
    assert read_trace("user\nann\n") == read_trace(HEADER + ",,,,,,,ann\n") == (
        TraceRun(
            submit=timedelta(),
            duration=timedelta(minutes=1),
            resources=Resources(cpu_milli=100, memory_bytes=128 * 2**20),
            user="ann",
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffteam,user\nshop,ann\n",
        "team,user\r\nshop,ann\r\n",
        '"team","user"\n"shop","ann"\n',
        " team , user\n shop , ann \n",
        "team,user\n\n  \nshop,ann",
        "user,team\nann,shop\n",
    ],
    ids=["BOM", "CRLF", "quotes", "blanks", "blank lines, no last newline", "another order"],
)
def test_what_spreadsheets_write_is_read(text: str) -> None:
    assert [(run.team, run.user) for run in read_trace(text)] == [("shop", "ann")]


def test_a_quoted_comma_belongs_to_the_field_and_lines_are_counted_as_in_an_editor() -> None:
    text = 'team,priority\n"a, b",1\n"quite\nlong",2\nc,11\n'

    assert read_trace('team,priority\n"a, b",1\n')[0].team == "a, b"
    assert problems(text) == [
        ("line[3].team", "must hold printable characters only"),
        ("line[5].priority", "must be from 0 to 9, not '11'"),
    ]


def test_runs_are_put_in_order_of_arrival() -> None:
    text = "submit_seconds,user\n5,carl\n0,dora\n5,ann\n"

    assert [run.user for run in read_trace(text)] == ["dora", "carl", "ann"]


@pytest.mark.parametrize("text", ["", "\ufeff", "\n\n", "  \r\n"])
def test_an_empty_file_is_refused(text: str) -> None:
    assert problems(text)[0][0] == "line[1]"
    assert "empty" in problems(text)[0][1]


def test_a_header_alone_is_refused() -> None:
    assert problems(HEADER) == [("line[1]", "there is a header but no run")]
    assert node_problems(NODES) == [("line[1]", "there is a header but no node")]


def test_every_problem_is_told_with_its_line_and_column() -> None:
    text = HEADER + "-1,nan,1.5,x,2000,10,,\n1,2,3\ninf,1e400,-0.5,,,-1,,\n"

    assert problems(text) == [
        ("line[2].cpu_milli", "must be a whole number, not '1.5'"),
        ("line[2].duration_seconds", "must be a finite number, not nan"),
        ("line[2].gpu", "must be from 0 to 1024, not '2000'"),
        ("line[2].memory_mib", "must be a number, not 'x'"),
        ("line[2].priority", "must be from 0 to 9, not '10'"),
        ("line[2].submit_seconds", "must be from 0 to 1e+09, not '-1'"),
        ("line[3]", "3 fields, the header has 8"),
        ("line[4].cpu_milli", "must be from 0 to 1e+09, not '-0.5'"),
        ("line[4].duration_seconds", "must be from 0 to 1e+09, not '1e400'"),
        ("line[4].priority", "must be from 0 to 9, not '-1'"),
        ("line[4].submit_seconds", "must be a finite number, not inf"),
    ]


@pytest.mark.parametrize("cell", ["1_000", "0x10", "١٢", "1,5", "--1", "1e", "True"])
def test_only_plain_numbers_are_numbers(cell: str) -> None:
    assert problems(f'cpu_milli\n"{cell}"\n') == [("line[2].cpu_milli", f"must be a number, not '{cell}'")]


@pytest.mark.parametrize(("cell", "value"), [("500.0", 500), ("1e3", 1000), ("+7", 7), (" 8 ", 8)])
def test_whole_numbers_may_be_written_in_several_ways(cell: str, value: int) -> None:
    assert read_trace(f"cpu_milli\n{cell}\n")[0].resources.cpu_milli == value


def test_columns_must_be_known_and_there_once() -> None:
    found = problems("submit_seconds,cpus,team,team,\n1,2,3,4,5\n")

    assert [path for path, _ in found] == ["line[1].cpus", "line[1].team", 'line[1]["(no name)"]']
    assert "known are submit_seconds, duration_seconds" in found[0][1]


def test_a_broken_quote_is_told_where_it_begins() -> None:
    ((path, message),) = problems('user\nann\n"bob\ncarl\n')

    assert path == "line[3]"
    assert "no CSV from here on" in message


def test_a_file_of_nothing_but_problems_tells_a_thousand_and_how_many_more() -> None:
    found = problems("gpu\n" + "-1\n" * 1500)

    assert len(found) == 1001
    assert ("", "500 more problems are not shown") in found


def test_long_text_is_cut_in_messages() -> None:
    ((_, message),) = problems("gpu\n" + "9" * 5000 + "\n")

    assert len(message) < 100


def test_a_node_has_what_its_line_says_and_many_are_numbered() -> None:
    made = read_nodes(NODES + "big,4000,8192,2,disk=ssd;zone = a;,1\nsmall,1000,1024,,,3\n")

    assert [node.name for node in made] == ["big", "small-1", "small-2", "small-3"]
    assert made[0].capacity == Resources(cpu_milli=4000, memory_bytes=8 * 2**30, gpu=2)
    assert made[0].labels == {"disk": "ssd", "zone": "a"}
    assert made[3].labels == {}


def test_a_node_needs_a_name_and_amounts() -> None:
    assert node_problems("name,gpu\n,1\n") == [
        ("line[1].cpu_milli", "the column is missing"),
        ("line[1].memory_mib", "the column is missing"),
        ("line[2].name", "must not be empty"),
    ]


def test_names_of_nodes_are_unique_also_numbered_ones() -> None:
    found = node_problems("name,cpu_milli,memory_mib,count\nn,1,1,2\nn-2,1,1,1\n")

    assert found == [("line[3].name", "the node n-2 is already in line 2")]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("disk", "must be key=value;key=value, not 'disk'"),
        ("=ssd", "must be key=value;key=value, not '=ssd'"),
        ("a=1;a=2", "has the label 'a' twice"),
    ],
)
def test_labels_are_pairs(labels: str, message: str) -> None:
    assert node_problems(f"name,cpu_milli,memory_mib,labels\nn,1,1,{labels}\n") == [("line[2].labels", message)]


def test_labels_may_have_the_longest_length_and_not_one_character_more() -> None:
    labels = "disk=" + "s" * (LONGEST_LABELS - len("disk="))

    (node,) = read_nodes(f"name,cpu_milli,memory_mib,labels\nn,1,1,{labels}\n")

    assert node.labels == {"disk": labels.removeprefix("disk=")}
    assert node_problems(f"name,cpu_milli,memory_mib,labels\nn,1,1,{labels}d\n") == [
        ("line[2].labels", f"must have {LONGEST_LABELS} characters at most, not {LONGEST_LABELS + 1}")
    ]


@pytest.mark.parametrize("count", ["0", "-1", "1.5", "100001"])
def test_a_count_is_at_least_one_and_at_most_what_a_simulation_bears(count: str) -> None:
    ((path, _),) = node_problems(f"name,cpu_milli,memory_mib,count\nn,1,1,{count}\n")

    assert path == "line[2].count"


def test_more_nodes_than_a_simulation_bears_are_refused() -> None:
    text = "name,cpu_milli,memory_mib,count\na,1,1,60000\nb,1,1,60000\n"

    assert node_problems(text) == [("line[3].count", "more than 100000 nodes")]
