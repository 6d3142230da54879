def names():
    boats = [{"name": "Ana", "port": "Faro"}, {"name": "Rui", "port": "Olhão"}]
    return {"boats": boats, "all": {"n": [7, 8]}}
