"""What stops the console from doing as it was told, said in both languages with the next step."""


class Trouble(Exception):  # noqa: N818 - it is told, not caught as a fault
    """A sentence for the person at the keyboard; the command line shows it and exits 1."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.zh = zh
        self.en = en

    def __str__(self) -> str:
        return f"{self.zh}\n{self.en}"
