import digdag


def make():
    digdag.env.add_subtask(make, number=make)
