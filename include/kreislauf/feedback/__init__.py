"""The loops: what may start a cycle, what an event means for a DAG, and whether a loop helped."""
