"""What else is in the sources: languages, repositories, tags and words that are no technology and do not grow."""

from __future__ import annotations

LANGUAGES: tuple[tuple[str | None, float], ...] = (
    ("HTML", 0.30), ("CSS", 0.24), ("Shell", 0.20), (None, 0.26),
)  # fmt: skip
"""Languages that are no technology, with their part of the pull requests that are left; None: GitHub saw no code."""

REPOSITORIES: tuple[tuple[str, int], ...] = (
    ("awesome-lists/awesome", 24), ("free-books/programming", 18), ("interviews/questions", 14),
    ("roadmaps/developer", 12), ("dotfiles/dotfiles", 9), ("papers/reading", 8), ("fonts/icons", 7),
    ("games/tetris", 6), ("maps/world", 5), ("themes/night", 5), ("course/algorithms", 4), ("course/databases", 4),
)  # fmt: skip
"""Repositories that are no technology, with their new stars in every hour."""

SINGLE_STARS = 180
"""Stars of an hour that go to repositories which nobody else stars in it."""

TAGS: tuple[tuple[str, float], ...] = (
    ("arrays", 0.052), ("string", 0.041), ("algorithm", 0.035), ("regex", 0.031), ("json", 0.028), ("xml", 0.024),
    ("database", 0.021), ("performance", 0.017), ("multithreading", 0.015), ("security", 0.012), ("image", 0.011),
    ("validation", 0.009), ("date", 0.008), ("sorting", 0.007), ("debugging", 0.006), ("unit-testing", 0.005),
)  # fmt: skip
"""Tags that are no technology, with their share of all questions."""

SMALL_TAGS = 150
SMALL_TAG_SHARE = 0.0004
"""The long tail: tags ``topic-001`` and so on, each with this share of all questions."""

UNTAGGED = "untagged"

CITIES = (
    "Berlin", "London", "New York", "San Francisco", "Toronto", "Zurich", "Amsterdam", "Austin", "Boston", "Seattle",
    "Paris", "Munich", "Chicago", "Dublin", "Vienna", "Stockholm", "Denver",
)  # fmt: skip
ROLES = (
    "Backend Engineer", "Frontend Engineer", "Full Stack Developer", "Site Reliability Engineer", "Data Engineer",
    "Engineering Manager", "Product Designer", "Security Engineer", "Mobile Developer", "Data Scientist",
    "Software Engineer in Test",
)  # fmt: skip
MODES = ("ONSITE", "REMOTE", "ONSITE or REMOTE", "REMOTE (EU)", "INTERNS", "VISA")
FIRST_NAMES = (
    "Blue",
    "Open",
    "North",
    "Clear",
    "Bright",
    "Deep",
    "Swift",
    "Iron",
    "Silver",
    "Green",
    "Quiet",
    "Solid",
)
LAST_NAMES = (
    "Harbor", "Ledger", "Bridge", "Signal", "Orchard", "Health", "Freight", "Compass", "Works", "Garden", "Robotics",
)  # fmt: skip
PITCHES = (
    "We help hospitals plan their shifts, and are profitable since last year.",
    "We build tools that let small shops sell abroad. The team is twelve people; you would be the fifth engineer.",
    "Our sensors watch over bridges. You will own features from the first sketch to production.",
    "We are looking for people who care about their craft &amp; like to explain things.",
    "Insurance, but readable. We ship every day, review each other&#x27;s code and go home at five.",
    "Backed by two funds, growing carefully, with customers on four continents.",
    "We make maps for cyclists. You&#x27;ll talk to users every week.",
)
PERKS = (
    "Four weeks of vacation, a budget for conferences, good coffee.",
    "Salary 70k to 110k plus equity.",
    "Health, dental and vision, 401(k), and a desk with a view.",
    "Flexible hours. We pay for relocation.",
    "Lunch every day, dogs welcome.",
)
TOOLS = ("Postgres", "Linux", "AWS", "Git", "Redis", "Kafka")
"""Names of tools in advertisements that the catalogue of the world does not know, each as frequent as ever."""
