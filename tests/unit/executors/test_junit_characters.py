"""No report is lost for one character; what is not well formed beyond that stays broken."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.junit import characters
from executors.junit.reader import ReportFile, read
from model.result import Outcome, Report

LOST = "\N{REPLACEMENT CHARACTER}"


def parsed(data: str | bytes) -> Report:
    file = io.BytesIO(data.encode() if isinstance(data, str) else data)
    return read([ReportFile(path="report.xml", file=file)])


def failing(text: str, attribute: str = "") -> str:
    return f'<testsuite><testcase name="a"><failure message="{attribute}">{text}</failure></testcase></testsuite>'


def trace(text: str) -> str:
    (only,) = parsed(failing(text, "m")).results
    return only.trace


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("a\x00b", f"a{LOST}b"), ("a\x1bb", f"a{LOST}b"), ("a\x08\x0b\x0cb", f"a{LOST * 3}b"),
        ("a\ufffeb", f"a{LOST}b"), ("a\uffffb", f"a{LOST}b"), ("a&#0;b", f"a{LOST}b"), ("a&#x1B;b", f"a{LOST}b"),
        ("a&#xD800;b", f"a{LOST}b"),
        ("a&#xFFFF;b", f"a{LOST}b"), ("a&#1114112;b", f"a{LOST}b"), ("a&#99999999999;b", f"a{LOST}b"),
        ("\x1b[31mred\x1b[0m", "red"), ("&#27;[1;31mred&#x1b;[0m", "red"), ("a\x1b[31", f"a{LOST}[31"),
        ("a & b", "a & b"), ("AT&T", "AT&T"), ("?a=1&b=2", "?a=1&b=2"), ("&", "&"), ("&;", "&;"), ("&#;", "&#;"),
        ("&#xyz;", "&#xyz;"), ("&nbsp;x", "x"), ("a&eacute;", "aé"), ("&amp;&lt;&gt;&quot;&apos;", "&<>\"'"),
        ("&#233;&#xE9;&#128512;", "éé😀"), ("<![CDATA[a\x00 & &#27; <b>\x1b[0m]]>", f"a{LOST} & &#27; <b>"),
        ("a<!-- \x00 & -- -->b", "ab"), ("a<?php & \x00 ?>b", "ab"), ("tab\tline\nend", "tab\tline\nend"),
    ],
)  # fmt: skip
def test_a_character_that_xml_does_not_take_is_replaced(written: str, read_as: str) -> None:
    assert trace(written) == read_as


@pytest.mark.parametrize("written", ["a\x00b", "a&#0;b", "\x1b[31ma\x1b[0mb", "a & b", "a&b"])
def test_it_is_replaced_in_attributes_too(written: str) -> None:
    (only,) = parsed(failing("t", written)).results

    assert only.outcome is Outcome.FAILED
    assert only.message.startswith("a")
    assert only.message.endswith("b")


ENCODINGS = [
    ("utf-8", "utf-8"), ("utf-8", "utf-8-sig"), ("utf-16", "utf-16"), ("utf-16", "utf-16-le"), ("utf-16", "utf-16-be"),
    ("utf-32", "utf-32"), ("iso-8859-1", "iso-8859-1"), ("ISO-8859-15", "iso-8859-15"), ("windows-1252", "cp1252"),
    ("us-ascii", "iso-8859-1"), ("utf-8", "cp1252"), ("utf-16", "utf-8"), ("iso-8859-1", "utf-8"), ("unicode", "utf-8"),
    ("no-such-encoding", "utf-8"), ("zip", "utf-8"), ("utf-7", "utf-8"), ("ASCII", "utf-8"),
]  # fmt: skip


@pytest.mark.parametrize(("declared", "real"), ENCODINGS)
def test_a_file_is_decoded_by_what_its_bytes_are(declared: str, real: str) -> None:
    text = f'<?xml version="1.0" encoding="{declared}"?>\n{failing("Prüfung ö", "é")}'

    (only,) = parsed(text.encode(real)).results

    assert (only.message, only.trace) == ("é", "Prüfung ö")


def test_an_encoding_of_the_east_is_decoded_as_it_is_declared() -> None:
    text = f'<?xml version="1.0" encoding="Shift_JIS"?>{failing("失敗")}'

    assert parsed(text.encode("shift_jis")).results[0].trace == "失敗"


def test_one_byte_of_windows_in_a_file_of_utf_8_is_read_as_it_was_meant() -> None:
    data = failing("naïve ?").encode().replace(b"?", b"caf\xe9 \x81")

    assert parsed(data).results[0].trace == f"naïve café {LOST}"


@pytest.mark.parametrize("before", ["\n\n", "\ufeff", "  ", "\ufeff\n"])
def test_what_stands_before_the_declaration_does_no_harm(before: str) -> None:
    report = parsed(f'{before}<?xml version="1.0"?><testsuite><testcase name="a"/></testsuite>')

    assert (report.broken, len(report.results)) == ("", 1)


def test_documents_one_after_the_other_are_all_read() -> None:
    suite = '<testsuite name="{0}"><testcase name="{0}"/></testsuite>'
    one = f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>{suite}</testsuites>\n'

    report = parsed(one.format("a") + one.format("b") + '<testsuite><testcase name="c"/></testsuite>\x00\x00')

    assert (report.broken, [result.name for result in report.results]) == ("", ["a", "b", "c"])


@pytest.mark.parametrize(
    "data",
    [
        failing("&undefined;"), failing("<b"), "<testsuite><testcase name=a/></testsuite>", failing("x") + "trailing",
        "log line\n" + failing("x"), failing("x")[:-3], failing("]]>"), failing("x") + "<html/>",
        "<testsuite/></report>",
        '<testsuite><testcase name="a" name="b"/></testsuite>', "<testsuite><test\x00case/></testsuite>",
    ],
)  # fmt: skip
def test_what_is_not_well_formed_beyond_that_stays_broken(data: str) -> None:
    report = parsed(data)

    assert report.broken
    assert not report.finished


@pytest.mark.parametrize("doctype", ["<!DOCTYPE x>", "<!doctype html>", '<!DOCTYPE x [<!ENTITY a "b">]>'])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_a_document_type_is_refused_before_anything_of_it_is_parsed(doctype: str, encoding: str) -> None:
    text = f'<?xml version="1.0"?><!-- <!DOCTYPE in a comment> -->{doctype}<testsuite><testcase name="é"/></testsuite>'

    report = parsed(text.encode(encoding))

    assert report.broken == "the JUnit file report.xml is broken: a DOCTYPE is not accepted"
    assert report.results == ()


def test_a_document_type_that_is_text_is_text() -> None:
    assert trace("<![CDATA[<!DOCTYPE html>]]>") == "<!DOCTYPE html>"


PIECES = st.sampled_from(
    ["a", "é", "\x00", "\x1b[31m", "&amp;", "&#27;", "&#27;[0m", "&", "&eacute;", "<![CDATA[", "]]>", "]", "<!--",
     "-->", "<?x", "?>", "<b>", "</b>", "<", "\x1b"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=30), st.integers(1, 7))
def test_where_a_file_is_cut_into_pieces_changes_nothing(pieces: list[str], size: int) -> None:
    data = "".join(pieces).encode()

    def together(chunk: int) -> str:
        cleaner, text = characters._Cleaner(), data.decode()
        parts = [text[start : start + chunk] for start in range(0, len(text), chunk)]
        return "".join("".join(cleaner.take(part)) for part in parts) + "".join(cleaner.take("", final=True))

    assert together(size) == together(len(data) + 1)
