"""Predictions: what is understood, what stays beside what, and the page that shows it all."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from streamlib import lab
from streamlib.lab.lessons import record
from streamlib.lab.lessons.questions import QUESTIONS, NotAnAnswerError


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STREAMLIB_HOME", str(tmp_path / "home"))
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "said", [2, 2.0, "2", "2.0", " two ", "Two", "offset 2", "'2'", "two items", "2."]
)
def test_a_number_is_understood_however_it_is_written(said: object) -> None:
    assert QUESTIONS["1.1"].understood(said) == "2"


@pytest.mark.parametrize("said", ["none", "nothing", 0, "0", "zero", "no events"])
def test_nothing_is_zero(said: object) -> None:
    assert QUESTIONS["1.2"].understood(said) == "0"


@pytest.mark.parametrize("said", ["many", "2 or 3", 2.5, "", "1 and 2", True])
def test_what_is_no_number_is_not_taken_for_one(said: object) -> None:
    with pytest.raises(NotAnAnswerError, match="whole number"):
        QUESTIONS["1.1"].understood(said)


@pytest.mark.parametrize("said", ["several", "Several ", "'several'", '"several"', "several."])
def test_a_choice_is_understood_in_quotes_or_capitals(said: str) -> None:
    assert QUESTIONS["5.1"].understood(said) == "several"


def test_a_misspelt_choice_is_not_recorded_and_the_choices_are_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lab.predict("5.1", answer="sevral")
    said = printed(capsys)
    assert "'sevral' is not recorded" in said
    assert 'choose "one", "several" or "all". Did you mean "several"?' in said
    lab.compare("5.1", "several")
    assert "you made no prediction" in printed(capsys)


def test_a_prediction_is_shown_beside_what_happened(capsys: pytest.CaptureFixture[str]) -> None:
    lab.predict("1.1", answer="two")
    lab.compare("1.1", 2)
    lab.predict(1.3, answer=3)  # the number as a number
    lab.compare(1.3, 2)
    assert capsys.readouterr().out.splitlines() == [
        "1.1  Recorded: 2. Now run it.",
        "1.1  you predicted: 2   it is: 2   as you predicted",
        "1.3  Recorded: 3. Now run it.",
        "1.3  you predicted: 3   it is: 2   not as you predicted: what explains it?",
    ]


def test_no_prediction_is_a_nudge_and_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    lab.predict("1.1", answer=...)
    lab.compare("1.1", 2)
    first, second = capsys.readouterr().out.splitlines()
    assert "No prediction yet" in first
    assert second == "1.1  it is: 2   (you made no prediction)"


def test_before_the_result_one_may_change_ones_mind_after_it_both_stand(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lab.predict("1.1", answer=1)
    lab.predict("1.1", answer=3)
    lab.compare("1.1", 2)
    lab.predict("1.1", answer=2)
    said = printed(capsys)
    assert "stands beside what you said first (3)" in said
    assert 'lab.forget("01")' in said
    assert record.kept()["1.1"] == {"said": "3", "came": "2", "later": "2"}
    lab.predict("1.1", answer=...)  # the cell run again as it was: nothing is lost
    assert "You said 3 before; that stays." in printed(capsys)
    assert record.kept()["1.1"]["said"] == "3"


def test_none_is_no_prediction(capsys: pytest.CaptureFixture[str]) -> None:
    lab.predict("1.2", answer=None)
    assert "No prediction yet" in printed(capsys)
    assert record.kept() == {}


def test_what_came_and_is_no_answer_is_said_and_not_kept(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lab.predict("5.3", answer="401")
    lab.compare("5.3", "429, 401")  # the worker died meanwhile, say
    said = printed(capsys)
    assert "5.3 it is: '429, 401'. That is no answer to the question; not kept." in said
    assert record.kept() == {"5.3": {"said": "401"}}


@pytest.mark.parametrize("notebook", ["x", "1.1", "99", "-1", " "])
def test_a_review_of_no_notebook_names_what_can_be_given(notebook: str) -> None:
    with pytest.raises(LookupError, match=r'as in lab\.review\("01"\)'):
        lab.review(notebook)


def test_who_predicts_only_after_the_result_has_predicted_nothing() -> None:
    lab.compare("1.1", 2)
    lab.predict("1.1", answer=2)
    assert record.kept()["1.1"].get("said") is None
    assert "Nothing was predicted" in repr(lab.review("01"))


def test_predictions_survive_the_end_of_their_process(capsys: pytest.CaptureFixture[str]) -> None:
    predicting = 'from streamlib import lab; lab.predict("1.2", answer="none")'
    subprocess.run([sys.executable, "-c", predicting], check=True, timeout=60)
    lab.compare("1.2", 0)
    assert "1.2  you predicted: 0   it is: 0   as you predicted" in capsys.readouterr().out


def test_a_question_that_does_not_exist_is_named() -> None:
    with pytest.raises(LookupError, match=r"no question '9\.9'; there are 0\.1"):
        lab.predict("9.9", answer=1)


@pytest.mark.parametrize(
    "content",
    [
        *("", "[]", "{", '{"1.1": 3}', "\0", "[" * 100_000),
        *('{"abc": {}, "1.1": {"said": 3}}', '{"1": {"said": "3"}, "1.1": {"came": null}}'),
    ],
)
def test_a_spoilt_file_is_as_none(content: str, own_folder: Path) -> None:
    (own_folder / "home").mkdir()
    (own_folder / "home" / "course.json").write_text(content)
    lab.predict("1.1", answer=2)
    lab.compare("1.1", 2)
    assert record.kept() == {"1.1": {"said": "2", "came": "2"}}
    assert "as it came: 1" in repr(lab.review("01"))


def test_the_review_shows_each_prediction_what_came_and_why_and_the_exercises() -> None:
    lab.predict("1.1", answer=1)
    lab.compare("1.1", 2)
    lab.predict("1.1", answer=2)
    lab.predict("3.1", answer=0)
    record.solved("1.4", True)
    record.solved("1.4", False)  # tried again, for fun: it stays solved
    record.solved("1.5", False)
    page = lab.review("01")._repr_html_()
    assert re.findall("<td>(.*?)</td>", re.sub("</?code>", "`", page)) == [
        "1.1",
        QUESTIONS["1.1"].asks,
        "1 (after the result: 2)",
        "2",
        QUESTIONS["1.1"].because,
    ]
    assert "Exercises solved: 1.4. Open: 1.5, 1.6, 1.7." in page
    assert "Exercises solved: 1.4. Open: 1.5, 1.6, 1.7." in repr(lab.review("01"))
    course = lab.review()._repr_html_()
    assert "3.1" in course
    assert QUESTIONS["3.1"].because not in course  # not run yet: nothing is given away
    assert "not run yet" in course


def test_a_question_and_an_exercise_of_one_number_do_not_forget_each_other() -> None:
    record.predicted("5.6", "none")
    record.solved("5.6", True)
    record.came("5.6", "silence")
    assert record.kept()["5.6"] == {"said": "none", "solved": "yes", "came": "silence"}


def test_the_review_is_one_page_that_can_be_saved_and_asks_for_nothing(own_folder: Path) -> None:
    lab.predict("2.4", answer="never handled")
    path = lab.review().save(own_folder / "mine.html")
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "never handled" in text
    assert not re.search("https?:|<script|src=", text)


def test_what_is_in_the_file_stays_text_on_the_page(own_folder: Path) -> None:
    lab.predict("1.1", answer=2)
    file = own_folder / "home" / "course.json"
    file.write_text(file.read_text().replace('"2"', '"<img src=x onerror=alert(1)>"'))
    assert "<img" not in lab.review()._repr_html_()


def test_a_name_in_a_question_is_shown_as_code_and_what_it_holds_as_text(own_folder: Path) -> None:
    lab.predict("1.1", answer=2)
    file = own_folder / "home" / "course.json"
    file.write_text(file.read_text().replace('"2"', '"`<b>` or ` alone"'))
    page = lab.review()._repr_html_()
    assert "<td><code>&lt;b&gt;</code> or ` alone</td>" in page
    assert "`<b>` or ` alone" in repr(lab.review())


def test_one_notebook_or_all_can_be_forgotten() -> None:
    lab.predict("1.1", answer=2)
    lab.predict("2.1", answer=4)
    lab.forget("01")
    assert [*record.kept()] == ["2.1"]
    with pytest.raises(LookupError, match="no notebook 'one'"):
        lab.forget("one")
    lab.forget()
    assert record.kept() == {}


def test_learners_who_share_a_home_have_a_record_each(monkeypatch: pytest.MonkeyPatch) -> None:
    lab.predict("1.1", answer=1)
    for who in ("ann", "ann/../bob", "é" * 40):
        monkeypatch.setenv("STREAMLIB_LEARNER", who)
        assert record.kept() == {}
        lab.predict("1.1", answer=2)
        assert record.kept() == {"1.1": {"said": "2"}}
    monkeypatch.delenv("STREAMLIB_LEARNER")
    assert record.kept() == {"1.1": {"said": "1"}}
