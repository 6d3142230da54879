import digdag


def store(value):
    digdag.env.store({"v": value})


def show(v):
    print(v)
