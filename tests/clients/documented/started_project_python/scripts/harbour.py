class Harbour:
    def tell(self, label, time):
        print(f"{label} {time}")

    def say(self, turn, boat):
        print(f"{turn} {boat}")
