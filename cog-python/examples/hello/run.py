"""A model without weights: greets a name and describes a list of numbers."""

import os
import subprocess
from pathlib import Path

import humanize
import numpy
from cog import BaseRunner, Input


class Runner(BaseRunner):
    def setup(self) -> None:
        self.greeting = Path("/etc/hello/greeting").read_text(encoding="utf-8")

    def run(
        self,
        name: str = Input(description="whom to greet"),
        numbers: str = Input(description="comma-separated numbers to add up", default="1000,2000"),
    ) -> str:
        total = int(numpy.fromstring(numbers, dtype=float, sep=",").sum())
        return f"{self.greeting}, {name}{os.environ['HELLO_PUNCTUATION']} The sum is {humanize.intcomma(total)}."
