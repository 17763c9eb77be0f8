"""How policies are written down: files, the names of the documented ones, and `extends`."""

from __future__ import annotations

import os
import pickle

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tomli_w

from hypothesis import HealthCheck, given, settings

from casestate import Policy, PolicyError, load_policy
from casestate import policies as documented
from casestate.loading import BUILT_IN
from casestate.testing.strategies import policies


if TYPE_CHECKING:
    from collections.abc import Callable

BUILT_IN_HINT = "built-in policies: sub-status, open-resolved"

SMALL = """\
format = 1
name = "small"
initial = "new"

[statuses.new]
[statuses.done]
closed = true

[[transitions]]
event = "close"
by = "agent"
from = "new"
to = "done"

[timers.remind]
in = "new"
kind = "remind"
after = { days = 7 }
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write a file into a folder of its own; returns its path."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refused(source: Any) -> PolicyError:  # noqa: ANN401 - whatever someone gives
    with pytest.raises(PolicyError) as caught:
        load_policy(source)
    return caught.value


# --- names, paths and mappings -----------------------------------------------


def test_the_documented_policies_have_names() -> None:
    assert BUILT_IN == ("sub-status", "open-resolved")
    assert load_policy("sub-status") == documented.SUB_STATUS
    assert load_policy("open-resolved") == documented.OPEN_RESOLVED
    assert [load_policy(name).name for name in BUILT_IN] == list(BUILT_IN)
    assert load_policy("sub-status").states[2] == "pending.customer_input"


def test_the_documented_policies_are_named_by_their_module() -> None:
    assert {"OPEN_RESOLVED", "SUB_STATUS", "__name__"} <= set(dir(documented))


def test_the_documented_policies_are_read_once() -> None:
    assert documented.SUB_STATUS is documented.SUB_STATUS
    assert documented.OPEN_RESOLVED is documented.OPEN_RESOLVED
    with pytest.raises(AttributeError, match=r"^module 'casestate.policies' has no attribute 'SUBSTATUS'$"):
        documented.SUBSTATUS  # noqa: B018 - asking is the point


def test_a_file_is_read_by_its_path(write: Callable[[str, str], Path]) -> None:
    path = write("small.toml", SMALL)
    policy = load_policy(path)
    assert policy.name == "small"
    assert policy.states == ("new", "done")
    assert load_policy(str(path)) == policy


def test_a_file_may_be_called_like_a_documented_policy_if_a_path_says_so(
    write: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("sub-status", SMALL)
    monkeypatch.chdir(path.parent)
    assert load_policy("sub-status").name == "sub-status"
    assert load_policy(Path("sub-status")).name == "small"
    assert load_policy("./sub-status").name == "small"


def test_a_mapping_is_read_as_it_is() -> None:
    assert load_policy(documented.SUB_STATUS.to_dict()) == documented.SUB_STATUS


@pytest.mark.parametrize(
    ("mapping", "subject"),
    [({"name": "mine"}, "mine"), ({"name": ""}, "policy"), ({"name": 3}, "policy"), ({}, "policy")],
)
def test_errors_of_a_mapping_call_it_by_its_name(mapping: dict[str, object], subject: str) -> None:
    assert refused(mapping).subject == subject


def test_errors_of_a_file_call_it_by_its_path(write: Callable[[str, str], Path]) -> None:
    path = write("small.toml", SMALL.replace('in = "new"', 'in = "nwe"'))
    error = refused(path)
    assert error.subject == str(path)
    assert [problem.path for problem in error.problems] == ["timers.remind.in"]
    assert str(error).startswith(f"{path}: timers.remind.in: unknown state 'nwe'; did you mean 'new'?")


@pytest.mark.parametrize("source", [None, 3, [], b"sub-status"])
def test_what_is_neither_a_name_nor_a_path_nor_a_mapping_is_refused(source: Any) -> None:  # noqa: ANN401 - the wrong ones
    with pytest.raises(PolicyError) as caught:
        load_policy(source)
    assert str(caught.value) == f"policy: must be a name, a path or a mapping, not {source!r}"


# --- files that cannot be read -----------------------------------------------


def test_a_file_that_is_not_there_names_the_documented_ones() -> None:
    error = refused("sub-statu")
    assert str(error) == (
        "sub-statu: cannot be read: No such file or directory; did you mean 'sub-status'?; " + BUILT_IN_HINT
    )
    assert error.problems[0].path == ""
    assert str(refused("/nowhere/at/all.toml")) == (
        f"/nowhere/at/all.toml: cannot be read: No such file or directory; {BUILT_IN_HINT}"
    )


def test_a_directory_is_no_policy(tmp_path: Path) -> None:
    assert str(refused(tmp_path)) == f"{tmp_path}: cannot be read: Is a directory; {BUILT_IN_HINT}"
    assert str(refused("")).startswith(".: cannot be read: Is a directory")


def test_a_path_that_can_be_none_is_refused_like_one_that_leads_nowhere(tmp_path: Path) -> None:
    assert str(refused("a\0b")) == f"a\0b: cannot be read: embedded null byte; {BUILT_IN_HINT}"
    assert "File name too long" in str(refused("a" * 5_000))
    loop = tmp_path / "loop.toml"
    loop.symlink_to(loop)
    assert "Too many levels of symbolic links" in str(refused(loop))


def test_a_file_that_is_not_utf_8_is_told_the_place(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes('# Grüße\nname = "x"'.encode("latin-1"))
    assert str(refused(path)) == f"{path}: is not UTF-8: byte 0xfc at offset 4"
    assert refused(path).problems[0].path == ""
    path.write_bytes(b"\xff\xfef\x00")
    assert str(refused(path)) == f"{path}: is not UTF-8: byte 0xff at offset 0"
    path.write_bytes(b"# \x00ok")
    assert str(refused(path)).startswith(f"{path}: is not TOML: ")


@pytest.mark.parametrize(
    "text",
    [
        "name = ",
        "[statuses",
        'name = "a"\nname = "b"',
        "{}",
        "format = 1\n[statuses.new]\n[statuses.new]",
        "format = " + "1" * 5_000,
        "format = " + "[" * 100_000,
    ],
    ids=["no value", "open bracket", "twice", "json", "table twice", "too many digits", "too deep"],
)
def test_malformed_toml_is_one_problem_of_the_file(write: Callable[[str, str], Path], text: str) -> None:
    error = refused(write("bad.toml", text))
    ((path, message),) = [(problem.path, problem.message) for problem in error.problems]
    assert path == ""
    assert message.startswith("is not TOML: ")
    assert error.__suppress_context__


def test_toml_tells_the_line(write: Callable[[str, str], Path]) -> None:
    path = write("bad.toml", 'format = 1\nname = "a\n')
    assert str(refused(path)).startswith(f"{path}: is not TOML: ")
    assert "line 2" in str(refused(path))


def test_an_empty_file_lacks_everything(write: Callable[[str, str], Path]) -> None:
    error = refused(write("empty.toml", ""))
    assert [(problem.path, problem.message) for problem in error.problems] == [
        (key, "is missing") for key in ("format", "name", "initial", "statuses")
    ]


def test_keys_nested_without_end_are_refused_like_any_other(write: Callable[[str, str], Path]) -> None:
    deep = ".".join(["a"] * 2_000)
    error = refused(write("deep.toml", f'extends = "sub-status"\ninitial.{deep} = 1'))
    assert [(problem.path, problem.message) for problem in error.problems] == [
        ("initial", "must be text, not a value too large to show (dict)")
    ]
    error = refused(write("deep.toml", f'extends = "sub-status"\ntimers.{deep} = 1'))
    assert error.problems[0].path == "timers.a.a"


# --- extends -----------------------------------------------------------------


def test_a_policy_extends_a_documented_one(write: Callable[[str, str], Path]) -> None:
    path = write(
        "ours.toml",
        'extends = "sub-status"\nname = "ours"\ncalendar.zone = "Europe/Berlin"\n'
        "timers.close_pending.notice = { days = 7 }\ntimers.notify_closed = false\n",
    )
    expected = documented.SUB_STATUS.override(
        {
            "name": "ours",
            "calendar": {"zone": "Europe/Berlin"},
            "timers": {"close_pending": {"notice": {"days": 7}}, "notify_closed": False},
        }
    )
    policy = load_policy(path)
    assert policy == expected
    assert "notify_closed" not in policy.timers
    assert policy.timers["close_pending"].after == documented.SUB_STATUS.timers["close_pending"].after
    assert load_policy({"extends": "sub-status"}) == documented.SUB_STATUS


def test_a_base_is_looked_for_beside_the_file_and_a_chain_goes_on_from_there(
    write: Callable[[str, str], Path],
) -> None:
    write("base/small.toml", SMALL)
    write(
        "base/middle.toml",
        'extends = "small.toml"\nname = "middle"\n[timers.remind]\nafter = { days = 3 }\n'
        '[[transitions]]\nevent = "middle"\nby = "agent"\nfrom = "*"\n',
    )
    top = write(
        "top.toml",
        'extends = "base/middle.toml"\nname = "top"\n[timers.remind]\naudience = "customer"\n'
        '[[transitions]]\nevent = "top"\nby = "agent"\nfrom = "*"\n',
    )
    policy = load_policy(top)
    assert policy.name == "top"
    assert policy.timers["remind"].after.to_dict() == {"days": 3}
    assert policy.timers["remind"].audience == "customer"
    assert policy.events == ("top", "middle", "close")


def test_a_base_of_a_mapping_is_looked_for_in_the_current_directory(
    write: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("small.toml", SMALL)
    monkeypatch.chdir(path.parent)
    assert load_policy({"extends": "small.toml", "name": "mine"}).name == "mine"
    assert load_policy({"extends": str(path)}).name == "small"


def test_a_name_of_a_documented_policy_is_that_one_even_beside_a_file_of_the_name(
    write: Callable[[str, str], Path],
) -> None:
    write("sub-status", SMALL)
    assert load_policy(write("top.toml", 'extends = "sub-status"')) == documented.SUB_STATUS
    assert load_policy(write("top.toml", 'extends = "./sub-status"')).name == "small"


def test_a_policy_cannot_extend_itself(write: Callable[[str, str], Path]) -> None:
    path = write("own.toml", 'extends = "own.toml"')
    error = refused(path)
    assert str(error) == f"{path}: extends: the policy extends itself: own.toml → own.toml"
    assert error.problems[0].path == "extends"
    again = write("own.toml", 'extends = "../' + path.parent.name + '/./own.toml"')
    assert "the policy extends itself" in str(refused(again))


def test_a_policy_cannot_extend_itself_through_others(write: Callable[[str, str], Path]) -> None:
    first = write("a.toml", 'extends = "b/b.toml"')
    second = write("b/b.toml", 'extends = "../c.toml"')
    third = write("c.toml", 'extends = "a.toml"')
    error = refused(first)
    assert error.subject == str(first.parent / "b" / ".." / "c.toml")
    assert str(error.problems[0]) == "extends: the policy extends itself: a.toml → b.toml → c.toml → a.toml"
    assert "b.toml → c.toml → a.toml → b.toml" in str(refused(second))
    link = first.parent / "link.toml"
    link.symlink_to(third)
    assert str(refused(link).problems[0]).endswith("itself: c.toml → a.toml → b.toml → c.toml")


def test_a_base_twice_over_is_no_circle(write: Callable[[str, str], Path]) -> None:
    write("small.toml", SMALL)
    write("left.toml", 'extends = "small.toml"\nname = "left"')
    assert load_policy(write("right.toml", 'extends = "left.toml"')).name == "left"


@pytest.mark.parametrize(
    ("extends", "message"),
    [
        (
            "sub-statu",
            "'sub-statu' cannot be read: No such file or directory; did you mean 'sub-status'?; "
            + BUILT_IN_HINT,
        ),
        ("gone.toml", f"'gone.toml' cannot be read: No such file or directory; {BUILT_IN_HINT}"),
        (".", f"'.' cannot be read: Is a directory; {BUILT_IN_HINT}"),
        ("a\0b", f"'a\\x00b' cannot be read: embedded null byte; {BUILT_IN_HINT}"),
        ("loop.toml", f"'loop.toml' cannot be read: Too many levels of symbolic links; {BUILT_IN_HINT}"),
        ("", "must be the name of a built-in policy (sub-status, open-resolved) or a path, not ''"),
        (3, "must be the name of a built-in policy (sub-status, open-resolved) or a path, not 3"),
        (False, "must be the name of a built-in policy (sub-status, open-resolved) or a path, not False"),
        ([], "must be the name of a built-in policy (sub-status, open-resolved) or a path, not []"),
    ],
)
def test_a_base_that_cannot_be_is_a_problem_of_the_file_that_names_it(
    tmp_path: Path, extends: object, message: str
) -> None:
    (tmp_path / "loop.toml").symlink_to(tmp_path / "loop.toml")
    path = tmp_path / "top.toml"
    path.write_text(tomli_w.dumps({"extends": extends}), encoding="utf-8")
    error = refused(path)
    assert error.subject == str(path)
    assert [(problem.path, problem.message) for problem in error.problems] == [("extends", message)]


def test_what_is_wrong_in_a_base_is_a_problem_of_the_base(write: Callable[[str, str], Path]) -> None:
    base = write("base.toml", SMALL.replace("days = 7", "days = -7"))
    top = write("top.toml", 'extends = "base.toml"\ninitial = "nowhere"')
    error = refused(top)
    assert error.subject == str(base)
    assert [problem.path for problem in error.problems] == ["timers.remind.after.days"]
    base.write_bytes(b"\xff")
    assert str(refused(top)) == f"{base}: is not UTF-8: byte 0xff at offset 0"
    base.write_text("[", encoding="utf-8")
    assert str(refused(top)).startswith(f"{base}: is not TOML")


def test_what_is_wrong_in_an_overlay_is_a_problem_of_the_overlay(write: Callable[[str, str], Path]) -> None:
    write("base.toml", SMALL)
    top = write("top.toml", 'extends = "base.toml"\ninitial = "nowhere"\ntimers.gone = false\nname = 3')
    error = refused(top)
    assert error.subject == str(top)
    assert [problem.path for problem in error.problems] == ["timers.gone", "name", "initial"]


def test_a_file_may_not_be_readable(
    write: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("small.toml", SMALL)

    def denied(self: Path) -> bytes:
        raise PermissionError(13, os.strerror(13), str(self))

    monkeypatch.setattr(Path, "read_bytes", denied)
    assert str(refused(path)) == f"{path}: cannot be read: Permission denied; {BUILT_IN_HINT}"


# --- written and read back ---------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(policy=policies())
def test_a_policy_written_as_a_file_is_read_back(tmp_path: Path, policy: Policy) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(tomli_w.dumps(policy.to_dict()), encoding="utf-8")
    assert load_policy(path) == policy


def test_an_error_of_a_file_survives_pickling(write: Callable[[str, str], Path]) -> None:
    error = refused(write("own.toml", 'extends = "own.toml"'))
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert str(again) == str(error)
    assert again.problems[0].path == "extends"
