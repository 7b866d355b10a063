"""The pools of the ring's heavy work: reading and training take slots of their own, so that all else finds one free.

``python -m dags.common.pools`` gives the pools the sizes that the environment says, wherever Airflow's database can be
reached. A scheduler that starts makes those that are missing (a plugin listens for it): tasks of a pool that is not
there would wait for ever. It changes none that is there, since a person may have.
"""

from __future__ import annotations

from typing import Any

from airflow.listeners import hookimpl

from include.kreislauf.settings import Settings, get_settings

COLLECTION, TRAINING = "kreislauf_collection", "kreislauf_training"
_TEXTS = {
    COLLECTION: "Reading of sources: KREISLAUF_POOL_COLLECTION tasks at a time.",
    TRAINING: "Searching and training of models: KREISLAUF_POOL_TRAINING tasks at a time.",
}


def sizes(slots: int, settings: Settings) -> dict[str, int]:
    """Slots of each pool: as the settings say, else a part of all slots that leaves some for light work.

    Parameters
    ----------
    slots: tasks that Airflow runs at a time: ``[core] parallelism``, which should not exceed what the workers take.
    """
    light, training = max(1, slots // 8), settings.pool_training or max(1, slots // 4)
    collection = settings.pool_collection or max(1, slots - light - training)
    return {COLLECTION: collection, TRAINING: training}


def make_pools(*, resize: bool) -> dict[str, int]:
    """Make the pools that are missing; returns the sizes that were set.

    Parameters
    ----------
    resize: whether those that are there get their sizes anew.
    """
    from airflow.configuration import conf
    from airflow.models.pool import Pool
    from airflow.utils.session import create_session

    wanted = sizes(conf.getint("core", "parallelism"), get_settings())
    with create_session() as session:
        known = set() if resize else {pool.pool for pool in Pool.get_pools(session=session)}
        made = {name: slots for name, slots in wanted.items() if name not in known}
        for name, slots in made.items():
            Pool.create_or_update_pool(name, slots, _TEXTS[name], include_deferred=False, session=session)
    return made


@hookimpl
def on_starting(component: Any) -> None:
    """Airflow's listener: a scheduler (or triggerer, or DAG processor) starts; of tasks, this asks nothing."""
    if type(component).__name__ != "Job":
        return
    from sqlalchemy.exc import IntegrityError

    try:
        make_pools(resize=False)
    except IntegrityError:  # another component, starting at the same time, was quicker
        make_pools(resize=False)


if __name__ == "__main__":
    for pool, number in make_pools(resize=True).items():
        print(f"{pool}: {number} slots")
