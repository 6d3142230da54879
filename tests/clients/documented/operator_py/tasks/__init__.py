class Net(object):
    def mend(self):
        print("mend")
