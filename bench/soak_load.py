"""The load of a soak: all that users do, by real HTTP on either web process, and what was promised to them."""

import http.client
import json
import re
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import urlencode

import structlog

ALIKE = 8
TIMEOUT_SECONDS = 30.0
# What each verb may answer. 503 with Retry-After may come from all of them.
EXPECTED = {
    "read": {200, 404},
    "page": {200, 302},
    "health": {200, 503},
    "backfill": {200, 400, 404, 409},
    "dry run": {200, 400, 404, 409},
    "kill": {200, 404, 409},
    "start": {200, 404, 409},
    "skip": {200, 404, 409},
    "disable": {200, 404},
    "enable": {200, 404, 409},
    "sign in": {200, 302},
    "delete project": {302},
}
LISTS = ("/api/sessions", "/api/schedules", "/api/attempts?include_retried=true", "/metrics")
PAGES = ("/", "/attempts", "/backfills", "/admin/scheduler/attempt/", "/admin/scheduler/schedule/")


@dataclass(frozen=True)
class Answer:
    """`status` 0: nobody was there, nothing was done. -1: the connection broke off, whatever was done."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[str, ...] = ()

    @property
    def is_lost(self) -> bool:
        """The request may have been done, or not."""
        return self.status == -1 or self.status >= 500


@dataclass
class Record:
    """What was asked and answered. Safe to write from several threads."""

    statuses: Counter[str] = field(default_factory=Counter)
    surprises: list[str] = field(default_factory=list)
    backfills: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    """All answers to a backfill, by attempt name."""
    dry_runs: set[str] = field(default_factory=set)
    kills: set[int] = field(default_factory=set)
    starts: dict[int, str] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, verb: str, path: str, answer: Answer) -> None:
        words = {0: "nobody there", -1: "broken off"}
        with self.lock:
            self.statuses[f"{verb} {words.get(answer.status, answer.status)}"] += 1
            if answer.status > 0 and not is_expected(verb, answer):
                now = f"{datetime.now(UTC):%H:%M:%S.%f}"
                self.surprises.append(
                    f"{now} {verb} {path}: {answer.status} {' '.join(str(answer.body).split())[:300]}"
                )


def is_expected(verb: str, answer: Answer) -> bool:
    return answer.status in EXPECTED[verb] or (answer.status == 503 and "Retry-After" in answer.headers)


class Client:
    """One user at a time of either web process."""

    def __init__(self, addresses: list[str], key: str, record: Record, random: Random) -> None:
        self.addresses = addresses
        self.record = record
        self.random = random
        self._headers = {"Authorization": f"TD1 {key}", "Content-Type": "application/json"}

    def ask(self, verb: str, method: str, path: str, body: object = None) -> Answer:
        address = self.random.choice(self.addresses)
        answer = ask(address, method, path, json.dumps(body) if body is not None else None, self._headers)
        self.record.note(verb, path, answer)
        return answer

    def read(self, path: str) -> Any:
        """The body of a 200; an empty one otherwise."""
        answer = self.ask("read", "GET", path)
        return answer.body if answer.status == 200 else {}


def ask(address: str, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Answer:
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT_SECONDS)
    try:
        connection.connect()
    except OSError:
        return Answer(0)
    try:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        text = response.read().decode()
    except (OSError, http.client.HTTPException):
        return Answer(-1)
    finally:
        connection.close()
    cookies = tuple(response.headers.get_all("Set-Cookie") or ())
    is_json = response.headers.get_content_type() == "application/json"
    return Answer(response.status, json.loads(text) if is_json else text, dict(response.headers), cookies)


class Load:
    """Threads that go on until `stop`."""

    def __init__(self, addresses: list[str], key: str, password: str, seed: int, renew: Callable[[], None]) -> None:
        self.record = Record()
        self._addresses = addresses
        self._key = key
        self._seed = seed
        self._stopped = threading.Event()
        self._together = ThreadPoolExecutor(ALIKE + 4)
        self._owner = Owner(addresses, password, self.record, Random(f"{seed} owner"))
        self._renew = renew
        self._number = iter(range(1, 10**9))
        rounds = {"backfiller": self._backfill, "operator1": self._operate, "operator2": self._operate}
        self._threads = [threading.Thread(target=self._go, args=(name, one)) for name, one in rounds.items()]
        self._threads.append(threading.Thread(target=self._own, name="owner"))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, *, wait: bool = True) -> None:
        """Ask nothing more; `wait` for what was asked."""
        self._stopped.set()
        if wait:
            for thread in self._threads:
                if thread.is_alive():
                    thread.join()
            self._together.shutdown()

    def client(self, name: str) -> Client:
        return Client(self._addresses, self._key, self.record, Random(f"{self._seed} {name}"))

    def _go(self, name: str, one: Callable[[Client], float]) -> None:
        client = self.client(name)
        while not self._stopped.wait(self._guarded(one, client)):
            continue

    def _guarded(self, one: Callable[[Client], float], client: Client) -> float:
        try:
            return one(client)
        except Exception as error:  # noqa: BLE001 - a finding, not the end of the soak
            structlog.get_logger().exception("soak_client_broke")
            with self.record.lock:
                self.record.surprises.append(f"the soak itself: {error!r}")
            return 1.0

    def _own(self) -> None:
        """A project is deleted, and comes back under its name; another gets a new revision."""
        client = self.client("owner's client")
        while not self._stopped.wait(self._guarded(self._delete_or_renew, client)):
            continue

    def _delete_or_renew(self, client: Client) -> float:
        if client.random.random() < 0.4:
            schedules = client.read("/api/schedules").get("schedules", [])
            for pk in {entry["project"]["id"] for entry in schedules if entry["project"]["name"] == "passing"}:
                self._owner.delete(int(pk))
        self._owner.look()
        self._renew()
        return client.random.uniform(6, 12)

    # --- backfills ----------------------------------------------------------------------------------------

    def _backfill(self, client: Client) -> float:
        """Eight at once, with one name or with eight."""
        schedules = client.read("/api/schedules").get("schedules", [])
        if schedules:
            schedule = client.random.choice(schedules)
            wanted = self._wanted(schedule, client.random)
            if client.random.random() < 0.2:
                self._dry_run(client, schedule, wanted)
            elif client.random.random() < 0.5:
                self._same(client, schedule, wanted)
            else:
                self._different(client, schedule, wanted)
        return client.random.uniform(1, 4)

    def _wanted(self, schedule: Mapping[str, Any], random: Random) -> dict[str, Any]:
        period = int((re.search(r"[0-9]+", schedule["workflow"]["name"]) or ["60"])[0])
        back = random.randint(2, 15)
        first = datetime.now(UTC) - timedelta(seconds=period * back)
        name = f"again {next(self._number)}"
        wanted: dict[str, Any] = {"attemptName": name, "fromTime": first.isoformat(), "dryRun": False}
        if random.random() < 0.5:
            wanted["count"] = random.randint(1, back)
        return wanted

    def _same(self, client: Client, schedule: Mapping[str, Any], wanted: dict[str, Any]) -> None:
        answers = self._eight(client, schedule, [wanted] * ALIKE)
        if any(answer.is_lost for answer in answers):  # as a client would
            self._eight(client, schedule, [wanted])

    def _different(self, client: Client, schedule: Mapping[str, Any], wanted: dict[str, Any]) -> None:
        name = wanted["attemptName"]
        self._eight(client, schedule, [{**wanted, "attemptName": f"{name} {letter}"} for letter in "abcdefgh"])

    def _eight(self, client: Client, schedule: Mapping[str, Any], wanted: list[dict[str, Any]]) -> list[Answer]:
        path = f"/api/schedules/{schedule['id']}/backfill"
        answers = list(self._together.map(lambda body: client.ask("backfill", "POST", path, body), wanted))
        with self.record.lock:
            for body, answer in zip(wanted, answers, strict=True):
                self.record.backfills[body["attemptName"]].append(answer)
        return answers

    def _dry_run(self, client: Client, schedule: Mapping[str, Any], wanted: dict[str, Any]) -> None:
        with self.record.lock:
            self.record.dry_runs.add(wanted["attemptName"])
        client.ask("dry run", "POST", f"/api/schedules/{schedule['id']}/backfill", {**wanted, "dryRun": True})

    # --- everything else ----------------------------------------------------------------------------------

    def _operate(self, client: Client) -> float:
        what = [self._kill, self._retry, self._start, self._poison, self._switch, self._skip, self._look]
        (chosen,) = client.random.choices(what, [6, 5, 3, 0.4, 2, 2, 3])
        chosen(client)
        return client.random.uniform(0.1, 1)

    def _kill(self, client: Client) -> None:
        attempts = client.read("/api/attempts?page_size=40").get("attempts", [])
        live = [attempt for attempt in attempts if not attempt["done"]]
        if live:
            pk = client.random.choice(live)["id"]
            if client.ask("kill", "POST", f"/api/attempts/{pk}/kill").status == 200:
                with self.record.lock:
                    self.record.kills.add(int(pk))

    def _retry(self, client: Client) -> None:
        """Two at once, now and then."""
        attempts = client.read("/api/attempts?page_size=60").get("attempts", [])
        if done := [attempt for attempt in attempts if attempt["done"]]:
            attempt = client.random.choice(done)
            wanted = {
                "workflowId": attempt["workflow"]["id"],
                "sessionTime": attempt["sessionTime"],
                "retryAttemptName": f"retry {next(self._number)}",
            }
            if attempt["status"] == "error" and client.random.random() < 0.5:
                wanted["resume"] = {"mode": "failed", "attemptId": attempt["id"]}
            self._put(client, wanted, times=client.random.choice([1, 1, 2]))

    def _start(self, client: Client) -> None:
        schedules = client.read("/api/schedules").get("schedules", [])
        if schedules:
            at = datetime.now(UTC) - timedelta(days=1, seconds=client.random.randint(1, 3600))
            definition = client.random.choice(schedules)["workflow"]["id"]
            self._put(client, {"workflowId": definition, "sessionTime": at.isoformat()}, times=1)

    def _poison(self, client: Client) -> None:
        """A task that kills its worker."""
        page = client.read("/api/attempts?workflow=poison&page_size=1").get("attempts", [])
        if page and page[0]["done"]:
            wanted = {"workflowId": page[0]["workflow"]["id"], "sessionTime": datetime.now(UTC).isoformat()}
            self._put(client, wanted, times=1)

    def _put(self, client: Client, wanted: dict[str, Any], *, times: int) -> None:
        answers = list(
            self._together.map(lambda body: client.ask("start", "PUT", "/api/attempts", body), [wanted] * times)
        )
        with self.record.lock:
            for answer in answers:
                if answer.status == 200:
                    self.record.starts[int(answer.body["id"])] = wanted.get("retryAttemptName", "")

    def _switch(self, client: Client) -> None:
        """Off and on again."""
        schedules = client.read("/api/schedules").get("schedules", [])
        if not schedules:
            return
        path = f"/api/schedules/{client.random.choice(schedules)['id']}"
        client.ask("disable", "POST", f"{path}/disable")
        self._stopped.wait(client.random.uniform(0, 4))
        body = client.random.choice([None, {}, {"skipSchedule": True}])
        if client.ask("enable", "POST", f"{path}/enable", body).status in (200, 404):
            return
        while client.ask("enable", "POST", f"{path}/enable").status not in (200, 404):
            if self._stopped.wait(0.5):
                return

    def _skip(self, client: Client) -> None:
        schedules = client.read("/api/schedules").get("schedules", [])
        if schedules:
            path = f"/api/schedules/{client.random.choice(schedules)['id']}/skip"
            wanted = {"fromTime": datetime.now(UTC).isoformat(), "count": client.random.randint(1, 3)}
            client.ask("skip", "POST", path, wanted)

    def _look(self, client: Client) -> None:
        client.ask("health", "GET", "/healthz")
        client.read(client.random.choice(LISTS))


class Owner:
    """A person with a browser, in the admin."""

    def __init__(self, addresses: list[str], password: str, record: Record, random: Random) -> None:
        self.random = random
        self._addresses = addresses
        self._password = password
        self._record = record
        self._cookies: dict[str, str] = {}

    def delete(self, pk: int) -> None:
        if "sessionid" not in self._cookies:
            self._sign_in()
        if "sessionid" not in self._cookies:
            return
        fields = {"action": "delete_projects", "_selected_action": str(pk), "confirmed": "yes"}
        answer = self._post("delete project", "/admin/projects/project/", fields)
        if answer.status == 302 and "/login" not in answer.headers.get("Location", ""):
            with self._record.lock:
                self._record.deleted.add(pk)

    def look(self) -> None:
        self._ask("page", "GET", self.random.choice(PAGES), None)

    def _sign_in(self) -> None:
        if self._ask("sign in", "GET", "/admin/login/", None).status == 200:
            self._post("sign in", "/admin/login/", {"username": "soak", "password": self._password, "next": "/admin/"})

    def _post(self, verb: str, path: str, fields: dict[str, str]) -> Answer:
        token = self._cookies.get("csrftoken", "")
        return self._ask(verb, "POST", path, urlencode({**fields, "csrfmiddlewaretoken": token}))

    def _ask(self, verb: str, method: str, path: str, body: str | None) -> Answer:
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        headers = {"Cookie": cookies, "Content-Type": "application/x-www-form-urlencoded"}
        answer = ask(self.random.choice(self._addresses), method, path, body, headers)
        self._record.note(verb, path, answer)
        for cookie in answer.cookies:
            name, _, rest = cookie.partition("=")
            self._cookies[name] = rest.partition(";")[0]
        return answer
