import digdag


class Scales:
    def weigh(self):
        digdag.env.store({"kilos": 40})

    def show(self, kilos):
        print("%d kg" % kilos)
