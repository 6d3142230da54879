class Boat(object):
    def sail(self):
        print("sail")


def row():
    print("row")


def name(name: str, crew: dict[str, str]):
    print(f"{name}: {crew}")
