def name(name):
    print(name)
