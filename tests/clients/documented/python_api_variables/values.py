import digdag


class Values(object):
    def store(self, session_time):
        digdag.env.store({"my_value": 1, "at": session_time})

    def read(self):
        print("read: %s" % digdag.env.params["my_value"])

    def mapped(self, my_value="default", at=None):
        print("mapped: %s %s" % (my_value, at))

    def default(self, other_value="default"):
        print("default: %s" % other_value)
