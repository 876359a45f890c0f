"""Every exercise of the course by its number, and how it is judged."""

from __future__ import annotations

from streamlib.lab.lessons.checks import (
    lesson_01,
    lesson_02,
    lesson_03,
    lesson_04,
    lesson_05,
    lesson_06,
    lesson_07,
    lesson_08,
    lesson_09,
)
from streamlib.lab.lessons.checks.judging import Exercise, Pure

EXERCISES: dict[str, Exercise | Pure] = {
    number: exercise
    for lesson in (
        *(lesson_01, lesson_02, lesson_03, lesson_04, lesson_05),
        *(lesson_06, lesson_07, lesson_08),
    )
    for number, exercise in lesson.EXERCISES.items()
} | lesson_09.EXERCISES
