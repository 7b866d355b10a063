"""GH Archive hours that never happened: the format of 2015 to 2025-10, with payloads of realistic kind and size.

The shapes (and so the cost of reading them) follow real hours of 2021: the mix of event types, the mean size per
type, the share of lines beyond ASCII, and a compression of about seven to one. One seed gives one file.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, BinaryIO

API = "https://api.github.com"
LANGUAGES = (
    "JavaScript", "TypeScript", "Python", "Java", "Go", "C++", "PHP", "Ruby", "C#", "Shell", "C", "Rust", "Kotlin",
    "Swift", "Scala", "Dart", "HTML", "CSS", "Jupyter Notebook", "Vue", "R", "Elixir", "Haskell", "Lua", "Perl",
)  # fmt: skip
TOPICS = (
    "react",
    "docker",
    "kubernetes",
    "machine-learning",
    "api",
    "cli",
    "android",
    "vue",
    "hacktoberfest",
)
WITHOUT_LANGUAGE = 0.12
BOTS = 0.07
BEYOND_ASCII = 0.05
"""Share of texts; a line of several texts has a multiple of it."""
REPEATED = 0.002
"""Share of lines that come a second time."""
REPOSITORIES = 60_000
MIX = {
    "PushEvent": 53.1, "CreateEvent": 12.9, "PullRequestEvent": 7.1, "WatchEvent": 7.3, "IssueCommentEvent": 4.6,
    "PullRequestReviewEvent": 3.0, "DeleteEvent": 3.4, "IssuesEvent": 2.6, "ForkEvent": 2.4,
    "PullRequestReviewCommentEvent": 1.2, "ReleaseEvent": 0.4, "MemberEvent": 0.5, "PublicEvent": 0.3,
    "CommitCommentEvent": 0.3, "GollumEvent": 0.3,
}  # fmt: skip
USER_LINKS = (
    "followers", "following{/other_user}", "gists{/gist_id}", "starred{/owner}{/repo}", "subscriptions", "orgs",
    "repos", "events{/privacy}", "received_events",
)  # fmt: skip
REPOSITORY_LINKS = (
    "forks", "keys{/key_id}", "collaborators{/collaborator}", "teams", "hooks", "issues/events{/number}", "events",
    "assignees{/user}", "branches{/branch}", "tags", "git/blobs{/sha}", "git/tags{/sha}", "git/refs{/sha}",
    "git/trees{/sha}", "statuses/{sha}", "languages", "stargazers", "contributors", "subscribers", "subscription",
    "commits{/sha}", "git/commits{/sha}", "comments{/number}", "issues/comments{/number}", "contents/{+path}",
    "compare/{base}...{head}", "merges", "{archive_format}{/ref}", "downloads", "issues{/number}",
    "pulls{/number}", "milestones{/number}", "notifications{?since,all,participating}", "labels{/name}",
    "releases{/id}", "deployments",
)  # fmt: skip

Json = dict[str, Any]


def write(path: Path, count: int, seed: int = 0, at: datetime = datetime(2021, 7, 21, 6)) -> Path:  # noqa: DTZ001
    """Write one hour as ``.json.gz``; the file is complete, or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".half")
    with half.open("wb") as file:
        compress(events(count, seed, at), file)
    return half.rename(path)


def compress(lines: Iterator[bytes], file: BinaryIO) -> None:
    """The lines as one gzip member without a time stamp: the same lines give the same bytes."""
    with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as packed:
        while block := b"".join(islice(lines, 500)):
            packed.write(block)


def events(count: int, seed: int = 0, at: datetime = datetime(2021, 7, 21, 6)) -> Iterator[bytes]:  # noqa: DTZ001
    """So many lines of JSON, spread over one hour, ids rising; a few lines come twice."""
    world = World(random.Random(seed), at)
    line = b""
    for number in range(count):
        if not line or world.chance.random() >= REPEATED:
            world.now = at + timedelta(seconds=number * 3600 // count)
            line = json.dumps(world.event(), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        yield line


class World:
    """Names, texts and hashes, all from one stream of random numbers."""

    def __init__(self, chance: random.Random, at: datetime) -> None:
        self.chance, self.now, self.id = chance, at, 17_244_207_336
        self.words = [_word(chance) for _ in range(12000)]
        self.weights = list(accumulate(1 / (rank + 8) for rank in range(len(self.words))))
        self.popularity = list(accumulate(1 / (rank + 20) ** 0.9 for rank in range(REPOSITORIES)))
        self.kinds, self.mix = list(MIX), list(accumulate(MIX.values()))

    def event(self) -> Json:
        """One event of a type by its share."""
        self.id += self.chance.randint(1, 3)
        kind = self.chance.choices(self.kinds, cum_weights=self.mix)[0]
        repository, login = self.repository(), self.login()
        number = self.chance.randint(10**5, 9 * 10**7)
        actor = {"id": number, "login": login, "display_login": login.removesuffix("[bot]"), "gravatar_id": "",
                 "url": f"{API}/users/{login}", "avatar_url": f"https://avatars.githubusercontent.com/u/{number}?"}  # fmt: skip
        short = {"id": repository["id"], "name": repository["full_name"], "url": repository["url"]}
        payload = PAYLOADS[kind](self, repository, login)
        return {"id": str(self.id), "type": kind, "actor": actor, "repo": short, "payload": payload,
                "public": True, "created_at": self.time()}  # fmt: skip

    def time(self) -> str:
        return self.now.strftime("%Y-%m-%dT%H:%M:%SZ")

    def hash(self) -> str:
        return f"{self.chance.getrandbits(160):040x}"

    def text(self, words: int) -> str:
        """Words by their usual frequency; some texts with letters beyond ASCII."""
        chosen = self.chance.choices(self.words, cum_weights=self.weights, k=words)
        if self.chance.random() < BEYOND_ASCII:
            chosen[self.chance.randrange(words)] = self.chance.choice(
                ("größer", "修正", "🚀", "naïve", "обновление")
            )
        return " ".join(chosen)

    def body(self, mean: int) -> str:
        """Paragraphs, with line ends and quotes as JSON must escape them."""
        size = 1 + min(int(self.chance.expovariate(1 / mean)), 12 * mean)
        return "\r\n\r\n".join(
            f'"{self.text(3)}" ' + self.text(min(60, size - at)) for at in range(0, size, 60)
        )

    def login(self) -> str:
        if self.chance.random() < BOTS:
            return self.chance.choice(("dependabot[bot]", "github-actions[bot]", "renovate[bot]", "acme-bot"))
        return f"{self.chance.choice(self.words)}{self.chance.choice(self.words)}{self.chance.randint(0, 99)}"

    def user(self, login: str) -> Json:
        """A user as the API writes it in full."""
        number = sum(map(ord, login)) * 7919 + 10_000
        links = {f"{name.split('{')[0]}_url": f"{API}/users/{login}/{name}" for name in USER_LINKS}
        return {
            "login": login, "id": number, "node_id": f"MDQ6VXNlcj{number:010d}",
            "avatar_url": f"https://avatars.githubusercontent.com/u/{number}?v=4", "gravatar_id": "",
            "url": f"{API}/users/{login}", "html_url": f"https://github.com/{login}", **links,
            "type": "Bot" if login.endswith("[bot]") else "User", "site_admin": False,
        }  # fmt: skip

    def repository(self) -> Json:
        """A repository as the API writes it in full; the same number is always the same repository."""
        rank = self.chance.choices(range(REPOSITORIES), cum_weights=self.popularity)[0]
        own = random.Random(rank)
        owner, name = (
            f"{own.choice(self.words)}-{rank % 977}",
            f"{own.choice(self.words)}-{own.choice(self.words)}",
        )
        full = f"{owner}/{name}"
        url = f"{API}/repos/{full}"
        links = {f"{link.split('{')[0].replace('/', '_')}_url": f"{url}/{link}" for link in REPOSITORY_LINKS}
        stars, issues = int(own.paretovariate(0.8)), own.randint(0, 60)
        return {
            "id": 10_000_000 + rank, "node_id": f"MDEwOlJlcG9zaXRvcnk{rank:09d}", "name": name, "full_name": full,
            "private": False, "owner": self.user(owner), "html_url": f"https://github.com/{full}",
            "description": " ".join(own.choices(self.words, cum_weights=self.weights, k=9)), "fork": False, "url": url,
            **links,
            "created_at": "2019-01-04T07:32:34Z", "updated_at": self.time(), "pushed_at": self.time(),
            "git_url": f"git://github.com/{full}.git", "ssh_url": f"git@github.com:{full}.git",
            "clone_url": f"https://github.com/{full}.git", "svn_url": f"https://github.com/{full}", "homepage": None,
            "size": own.randint(1, 90_000), "stargazers_count": stars, "watchers_count": stars,
            "language": None if own.random() < WITHOUT_LANGUAGE else LANGUAGES[int(25 * own.random() ** 2)],
            "has_issues": True, "has_projects": True, "has_downloads": True, "has_wiki": True, "has_pages": False,
            "forks_count": stars // 5, "mirror_url": None, "archived": False, "disabled": False,
            "open_issues_count": issues, "license": None, "topics": own.sample(TOPICS, own.choice((0, 0, 0, 2, 4))),
            "forks": stars // 5, "open_issues": issues, "watchers": stars, "default_branch": "main",
        }  # fmt: skip

    def side(self, repository: Json, branch: str) -> Json:
        """Head or base of a pull request."""
        owner = repository["owner"]
        return {"label": f"{owner['login']}:{branch}", "ref": branch, "sha": self.hash(), "user": owner,
                "repo": repository}  # fmt: skip

    def pull_request(self, repository: Json, login: str) -> Json:
        """A pull request with both sides in full."""
        number, url = self.chance.randint(1, 9000), repository["url"]
        web = f"{repository['html_url']}/pull/{number}"
        own = f"{url}/pulls/{number}"
        parts = {"issue": f"{url}/issues/{number}", "comments": f"{url}/issues/{number}/comments",
                 "review_comments": f"{own}/comments", "review_comment": f"{url}/pulls/comments{{/number}}",
                 "commits": f"{own}/commits", "statuses": f"{url}/statuses/{self.hash()}"}  # fmt: skip
        links = {"self": own, "html": web} | parts
        return {
            "url": own, "id": self.chance.randint(10**8, 10**9), "node_id": "MDExOlB1bGxSZXF1ZXN0Njk0MDczNjQx",
            "html_url": web, "diff_url": f"{web}.diff", "patch_url": f"{web}.patch", "number": number,
            "state": "open", "locked": False, "title": self.text(7), "user": self.user(login), "body": self.body(230),
            "created_at": self.time(), "updated_at": self.time(), "closed_at": None, "merged_at": None,
            "merge_commit_sha": self.hash(), "assignee": None, "assignees": [], "requested_reviewers": [],
            "labels": [], "milestone": None, "draft": False, **{f"{name}_url": link for name, link in parts.items()},
            "head": self.side(repository, self.text(1)), "base": self.side(repository, "main"),
            "_links": {name: {"href": link} for name, link in links.items()}, "author_association": "CONTRIBUTOR",
            "auto_merge": None, "merged": False, "merged_by": self.user(login), "comments": 0, "commits": 1,
            "additions": self.chance.randint(1, 900), "deletions": self.chance.randint(0, 300), "changed_files": 2,
        }  # fmt: skip

    def issue(self, repository: Json, login: str) -> Json:
        """An issue with its text."""
        number, url = self.chance.randint(1, 9000), repository["url"]
        own = f"{url}/issues/{number}"
        return {
            "url": own, "repository_url": url, "labels_url": f"{own}/labels{{/name}}",
            "comments_url": f"{own}/comments", "events_url": f"{own}/events",
            "html_url": f"{repository['html_url']}/issues/{number}", "id": self.chance.randint(10**8, 10**9),
            "node_id": "MDU6SXNzdWU5NDg0MTEyNzQ=", "number": number, "title": self.text(7), "user": self.user(login),
            "labels": [], "state": "open", "locked": False, "assignee": None, "assignees": [], "milestone": None,
            "comments": 0, "created_at": self.time(), "updated_at": self.time(), "closed_at": None,
            "author_association": "NONE", "active_lock_reason": None, "body": self.body(150),
        }  # fmt: skip

    def comment(self, repository: Json, login: str) -> Json:
        """A comment on an issue, a review or a commit."""
        return {
            "url": f"{repository['url']}/comments/{self.id}", "html_url": repository["html_url"], "id": self.id,
            "node_id": "MDEyOklzc3VlQ29tbWVudDg4Mzk4NzY1NA==", "user": self.user(login), "created_at": self.time(),
            "updated_at": self.time(), "author_association": "MEMBER", "body": self.body(170),
        }  # fmt: skip

    def commit(self, repository: Json, login: str) -> Json:
        """One commit of a push."""
        name = self.hash()
        author = {"name": login, "email": f"{self.hash()}@users.noreply.github.com"}
        return {"sha": name, "author": author, "message": self.text(self.chance.choice((3, 6, 9, 30))),
                "distinct": True, "url": f"{repository['url']}/commits/{name}"}  # fmt: skip


def _word(chance: random.Random) -> str:
    syllables: Sequence[str] = (
        "ka",
        "ro",
        "mi",
        "test",
        "in",
        "er",
        "the",
        "fix",
        "lo",
        "add",
        "pa",
        "un",
        "ing",
        "re",
    )
    return "".join(chance.choices(syllables, k=chance.choice((1, 2, 2, 3))))


def _push(world: World, repository: Json, login: str) -> Json:
    size = world.chance.choice((1, 1, 1, 1, 1, 1, 1, 2, 2, 7))
    return {"push_id": world.id, "size": size, "distinct_size": size, "ref": "refs/heads/main", "head": world.hash(),
            "before": world.hash(), "commits": [world.commit(repository, login) for _ in range(size)]}  # fmt: skip


def _created(world: World, repository: Json, _login: str) -> Json:
    return {"ref": world.text(1), "ref_type": "branch", "master_branch": "main",
            "description": repository["description"], "pusher_type": "user"}  # fmt: skip


def _pull_request(world: World, repository: Json, login: str) -> Json:
    pull_request = world.pull_request(repository, login)
    action = world.chance.choice(("opened", "opened", "closed", "closed", "reopened"))
    return {"action": action, "number": pull_request["number"], "pull_request": pull_request}


def _review(world: World, repository: Json, login: str) -> Json:
    review = world.comment(repository, login) | {"state": "commented", "commit_id": world.hash()}
    return {"action": "created", "review": review, "pull_request": world.pull_request(repository, login)}


def _review_comment(world: World, repository: Json, login: str) -> Json:
    comment = world.comment(repository, login) | {
        "diff_hunk": f"@@ -83,6 +83,9 @@ {world.text(60)}",
        "path": "a/b.py",
    }
    return {"action": "created", "comment": comment, "pull_request": world.pull_request(repository, login)}


def _issue(world: World, repository: Json, login: str) -> Json:
    return {"action": world.chance.choice(("opened", "closed")), "issue": world.issue(repository, login)}


def _comment(world: World, repository: Json, login: str) -> Json:
    return {"action": "created", "issue": world.issue(repository, world.login()),
            "comment": world.comment(repository, login)}  # fmt: skip


def _fork(world: World, repository: Json, login: str) -> Json:
    return {"forkee": repository | {"owner": world.user(login), "fork": True, "language": None}}


def _release(world: World, repository: Json, login: str) -> Json:
    return {
        "action": "published",
        "release": world.comment(repository, login) | {"tag_name": "v1.2.3", "assets": []},
    }


PAYLOADS: dict[str, Callable[[World, Json, str], Json]] = {
    "PushEvent": _push,
    "CreateEvent": _created,
    "PullRequestEvent": _pull_request,
    "WatchEvent": lambda *_: {"action": "started"},
    "IssueCommentEvent": _comment,
    "PullRequestReviewEvent": _review,
    "DeleteEvent": lambda world, *_: {"ref": world.text(1), "ref_type": "branch", "pusher_type": "user"},
    "IssuesEvent": _issue,
    "ForkEvent": _fork,
    "PullRequestReviewCommentEvent": _review_comment,
    "ReleaseEvent": _release,
    "MemberEvent": lambda world, _, login: {"member": world.user(login), "action": "added"},
    "PublicEvent": lambda *_: {},
    "CommitCommentEvent": lambda world, *rest: {"comment": world.comment(*rest)},
    "GollumEvent": lambda world, *_: {
        "pages": [{"page_name": world.text(2), "action": "edited", "sha": world.hash()}]
    },
}
