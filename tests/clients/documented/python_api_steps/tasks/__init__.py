class Steps(object):
    def first(self):
        print("first")

    def second(self):
        print("second")
