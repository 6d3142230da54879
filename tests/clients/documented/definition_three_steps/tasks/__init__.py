class Harbour:
    def tides(self, place):
        print(f"tides of {place}")
