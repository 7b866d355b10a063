"""The tool that a platform engineer runs on the host: start, check, back up, restore and upgrade the Compose stack.

It needs Python 3.9 or newer, Docker and Compose, and nothing else: no environment, no packages.
"""
