import os


def say(from_python):
    print("deep", from_python, os.path.exists("../data.txt"))
