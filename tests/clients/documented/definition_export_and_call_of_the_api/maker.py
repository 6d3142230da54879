import digdag


class Maker:
    def export_and_call_child(self):
        digdag.env.export({"my_port": 2})
        digdag.env.add_subtask({"_type": "call", "_command": "child.dig"})
