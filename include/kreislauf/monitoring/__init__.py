"""Discipline 7: does the live release still serve, judged by business metrics on matured outcomes?"""
