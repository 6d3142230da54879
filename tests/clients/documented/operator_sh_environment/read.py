import os


def berth():
    print(os.environ["BERTH"])
