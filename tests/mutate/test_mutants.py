"""Mutants are what they say: one token or one statement of a file, and the library is otherwise as it was."""

from coordinator import library
from tests.mutate import mutants, texts
from tests.mutate.lua import statements


def test_statements_are_found_with_their_ends_and_whether_they_run_on_loading() -> None:
    text = (
        "local a = { b = function(x) return x and -1 end }\nif a.b 'x' then a.b{} else for i = 1, 2 do break end end\n"
    )
    found = [(text[one.at : one.stop], one.loads) for one in statements(text)]
    assert found == [
        ("local a = { b = function(x) return x and -1 end }", True),
        ("return x and -1", False),
        ("if a.b 'x' then a.b{} else for i = 1, 2 do break end end", True),
        ("a.b{}", True),
        ("for i = 1, 2 do break end", True),
        ("break", True),
    ]


def test_every_file_has_mutants_and_each_changes_its_place_alone() -> None:
    for file in (*library.WORDS, *library.VERBS):
        text, found = mutants.source(file), mutants.of(file)
        assert len({one.id for one in found}) == len(found) > 8
        for one in found:
            assert text[one.at : one.at + len(one.old)] == one.old != one.new
            assert one.statement.at <= one.at < one.statement.stop
    one = next(one for one in mutants.of("limit") if one.kind == "comparison")
    before, after = library.TEXT.splitlines(), one.library().splitlines()
    assert [number for number, line in enumerate(before) if line != after[number]] == [
        before.index(mutants.source("limit").splitlines()[one.line - 1])
    ]


def test_a_mutant_is_felt_where_its_statement_runs_or_its_name_is_used() -> None:
    counted = texts.numbers()
    inner = next(one for one in mutants.of("limit") if not one.statement.loads)
    assert texts.marks_of(inner) == {str(counted["limit", inner.statement])}
    assert {"dispatch_limit"} == texts.marks_of(next(one for one in mutants.of("limit") if one.statement.loads))
