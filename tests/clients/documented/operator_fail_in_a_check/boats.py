def count():
    return {"count": 9}
