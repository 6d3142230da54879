from typing import Union


class Gear(object):
    def __init__(
        self,
        first: str,
        second: str,
        third: dict[str, str],
        fourth: int,
        fifth: float,
        sixth: list[Union[str, int, float]],
    ):
        print(first == second, third, float(fourth) == fifth, sixth)

    def check(self):
        pass


class Pair:
    def __init__(self, of_the_class: str):
        self.kept = of_the_class

    def show(self, of_the_method: list[str]):
        print(f"{self.kept}: {of_the_method}")
