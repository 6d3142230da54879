class Log:
    def note(self, port, berth="none"):
        print(f"port {port}, berth {berth}")
