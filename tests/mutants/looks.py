"""Stubs of the ways of looking and of their comparison."""

from tests.mutants.runner import Stub

LOOKS: list[Stub] = [
    Stub(
        "early-is-late",
        "every layer of a network is its end",
        "explorer/extractors/layers.py",
        "        return self._tower(batch)[self.spec.layer]\n",
        "        found = self._tower(batch)\n        return list(found.values())[-1][:, : self.spec.dim]\n",
        ("tests/unit/test_timm.py::test_the_end_and_the_layers_are_what_timm_gives",),
    ),
    Stub(
        "published-weights-left-out",
        "a network by name has the weights that chance gave it",
        "explorer/extractors/timm_networks.py",
        "        return package.create_model(name, pretrained=True,",
        "        return package.create_model(name, pretrained=False,",
        ("tests/unit/test_timm.py::test_published_weights_are_loaded_from_the_cache_without_the_network",),
    ),
    Stub(
        "joined-is-its-first-part",
        "a joined space is scored by the first of its parts",
        "explorer/space/joined.py",
        "            found = some if found is None else np.add(found, some, out=found)\n",
        "            found = some if found is None else found\n",
        ("tests/unit/test_joined.py::test_orders_and_decisions_are_those_of_float32",),
    ),
    Stub(
        "any-space-will-do",
        "a classifier scores the vectors of whatever space it is given",
        "explorer/learning/portable_scores.py",
        "    if space.recipe != trained:\n",
        "    if False:\n",
        ("tests/unit/test_portable_scores.py::test_vectors_of_another_space_are_refused_by_name",),
    ),
    Stub(
        "always-decided",
        "whatever leads is recommended",
        "explorer/learning/comparison.py",
        "bool(chances.sum() < DOUBT)",
        "True",
        ("tests/unit/test_comparison.py::test_of_equally_good_looks_one_is_seldom_recommended_wrongly",),
    ),
    Stub(
        "twins-settle-it",
        "near-duplicates of an answer count as further answers",
        "explorer/learning/comparison.py",
        "    place, groups = answers_of(y[rows], groups[rows], len(rows))\n    used =",
        "    place, groups = answers_of(y[rows], None, len(rows))\n    used =",
        ("tests/unit/test_comparison.py::test_near_duplicates_do_not_settle_anything",),
    ),
    Stub(
        "joining-is-knowledge",
        "weights are judged by the answers that chose them",
        "explorer/learning/joining.py",
        "        weights, alone = _chosen(inside, own, near)\n",
        "        weights, alone = _chosen(grams, place, groups)\n",
        ("tests/unit/test_joining.py::test_choosing_weights_is_not_counted_as_knowledge",),
    ),
    Stub(
        "nothing-is-ignored",
        "what is ignored is claimed, not measured: the pictures are left as they are",
        "explorer/space/invariance.py",
        "def _altered(pictures: Sequence[np.ndarray], alter: \"Alter\", seed: int) -> list[np.ndarray]:\n",
        "def _altered(pictures: Sequence[np.ndarray], alter: \"Alter\", seed: int) -> list[np.ndarray]:\n"
        "    return list(pictures)\n",
        ("tests/unit/test_invariance.py::test_an_extractor_that_sees_nothing_keeps_nothing_but_by_chance",
         "tests/unit/test_invariance.py::test_the_app_s_own_extractors"),
    ),
]  # fmt: skip
