"""Images that are drawn without end."""

from __future__ import annotations

import time

import numpy as np

from vigil.demo.drawing import PER_SHARD, Drawing, _kind, draw_shard
from vigil.demo.images import scene_seeds
from vigil.workers import worker_pool


def test_the_scenes_of_a_shard_are_of_one_kind_and_kinds_differ() -> None:
    seeds = scene_seeds("train", 40, 60 * PER_SHARD)
    kinds = [[_kind(seed) for seed in seeds[i * PER_SHARD :][:PER_SHARD]] for i in range(60)]
    assert all(len(set(shard)) == 1 for shard in kinds)
    assert len({shard[0] for shard in kinds}) == 3


def test_the_same_seeds_give_the_same_images_and_persons_inside_them() -> None:
    seeds = scene_seeds("train", 40, 3)
    one, two = draw_shard(seeds), draw_shard(seeds)
    assert one.images.shape == (3, 360, 640, 3)
    np.testing.assert_array_equal(one.images, two.images)
    for persons in one.persons:
        assert (persons.boxes >= -1).all()
        assert (persons.boxes[:, 2:] <= (641, 361)).all()
        assert set(np.unique(persons.visible)) <= {0.0, 0.5, 1.0}


def test_as_many_shards_are_begun_as_were_collected_and_none_comes_twice() -> None:
    with worker_pool(1) as pool:
        drawing = Drawing(pool, 1, seed=40)
        shards = []
        while len(shards) < 3:
            shards += drawing.collect()
            assert len(drawing._begun) == 2
            time.sleep(0.05)
        drawing.stop()
    assert not any(
        np.array_equal(shards[i].images, shards[j].images) for i in range(3) for j in range(i)
    )
