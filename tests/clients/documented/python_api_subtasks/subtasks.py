import digdag


class Tasks(object):
    def make(self):
        print("make")
        digdag.env.add_subtask(Tasks.made, number=1)
        digdag.env.add_subtask({"_type": "echo", "_command": "made by a mapping"})

    def after(self, my_value="default"):
        print("after: %s" % my_value)

    def made(self, number):
        print("made: %s" % number)
