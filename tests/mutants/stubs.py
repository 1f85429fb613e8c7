"""The stubs: real parts replaced by something that only looks as if it worked.

`old` must be in the file exactly once. When a part is rewritten its stub is rewritten with it; a test says which.
"""

from tests.mutants.runner import Stub

ANSWERS = "tests/unit/test_answers.py"
IMAGES = "tests/unit/test_images.py"
DATASET = "tests/unit/test_dataset.py"

STUBS: list[Stub] = [
    # --- answers ---
    Stub(
        "answers-in-memory",
        "answers are acknowledged but live only as long as the process",
        "explorer/catalog/database.py",
        "    engine = sa.create_engine(url, pool_size=5, max_overflow=20, connect_args=",
        "    _switch_to_wal(Path(str(url.database)))\n"
        "    url = f'sqlite:///file:{abs(hash(str(url)))}?mode=memory&cache=shared&uri=true'\n"
        "    engine = sa.create_engine(url, poolclass=sa.pool.QueuePool, pool_size=5, max_overflow=20, connect_args=",
        (f"{ANSWERS}::test_no_acknowledged_answer_is_lost_when_the_process_is_killed",),
    ),
    Stub(
        "retry-counts-twice",
        "a press that is sent again becomes a second answer",
        "explorer/learning/answers.py",
        "            if event.client_event_id in known or event.client_event_id in fresh:\n                continue\n",
        "            if event.client_event_id in known or event.client_event_id in fresh:\n"
        '                event = AnswerEvent(**{**vars(event), "client_event_id": event.client_event_id + "+"})\n',
        (f"{ANSWERS}::test_a_retry_is_not_a_second_answer_and_the_first_stands",),
    ),
    Stub(
        "undo-ignored",
        "an undo is stored and changes nothing",
        "explorer/learning/standing.py",
        "touched[self._turn(undoes, False)] = None",
        "touched[self._uid.get(undoes)] = None",
        (f"{ANSWERS}::test_undo_and_redo_walk_back_and_forth",),
    ),
    # --- pictures ---
    Stub(
        "exif-ignored",
        "photographs lie on their side",
        "explorer/collection/images.py",
        "            if header.orientation != 1:\n",
        "            if False:\n",
        (f"{IMAGES}::test_a_rotated_picture_stands_upright",),
    ),
    Stub(
        "truncated-accepted",
        "a JPEG that ends early is a picture with a grey rest",
        "explorer/collection/images.py",
        "min_width=side, strict=True)",
        "min_width=side, strict=False)",
        (f"{IMAGES}::test_a_file_cut_short_is_told_from_a_whole_one",),
    ),
    Stub(
        "transparent-is-black",
        "transparency is dropped instead of laid on white",
        "explorer/collection/images.py",
        '        white.paste(image, mask=image.getchannel("A"))\n        return white\n',
        '        return image.convert("RGB")\n',
        (f"{IMAGES}::test_transparency_lies_on_white",),
    ),
    # --- extractors ---
    Stub(
        "random-weights",
        "the network is built but its trained weights are not put in",
        "explorer/extractors/lite0.py",
        "    network.load_state_dict(dict(zip(ours, theirs.values(), strict=True)))\n",
        "",
        ("tests/unit/test_lite0.py::test_logits_agree_with_the_packages_own_network",),
    ),
    Stub(
        "colours-constant",
        "every picture has the same colours",
        "explorer/extractors/colour.py",
        "return np.stack([_describe(picture) for picture in batch])",
        "return np.full((len(batch), self.spec.dim), 0.1, np.float32)",
        ("tests/unit/test_colour.py",),
    ),
    # --- collections ---
    Stub(
        "rename-is-new",
        "a renamed or moved file becomes another item, and its answers stay behind",
        "explorer/collection/matching.py",
        "    state.pair(lambda old: old.content_hash and (old.content_hash, _name(old.path)),\n"
        "               lambda number: (listed[number].content_hash, _name(listed[number].entry.path)))  # fmt: skip\n"
        "    state.pair(lambda old: old.content_hash, lambda number: listed[number].content_hash)\n",
        "",
        (f"{DATASET}::test_rename_swap_edit_remove_and_return",),
    ),
    Stub(
        "tombstones-forgotten",
        "what was removed is dropped, so that its name goes to the next picture that comes",
        "explorer/collection/dataset.py",
        '                rows.append({**old, "status": GONE, "problem": ""})\n                meta.append(said)\n',
        "",
        (f"{DATASET}::test_rename_swap_edit_remove_and_return",),
    ),
    Stub(
        "problems-dropped",
        "what cannot be decoded is left out without a word",
        "explorer/collection/dataset.py",
        "        problems = self.pictures.problems()\n        if problems:\n",
        "        problems = {}\n        if problems:\n",
        ("tests/unit/test_embedding.py::test_what_cannot_be_read_is_written_down_and_not_tried_again",),
    ),
    Stub(
        "always-recomputed",
        "every run looks at every picture again",
        "explorer/collection/embedding.py",
        "        for name in dataset.features(extractor.spec).missing(wanted):\n",
        "        for name in wanted:\n",
        ("tests/unit/test_embedding.py::test_every_picture_once_and_never_again",),
    ),
    Stub(
        "embedding-cannot-be-stopped",
        "Stop is taken note of and nothing stops",
        "explorer/collection/embedding.py",
        "                    if cancelled is not None and cancelled():\n                        stopped = True\n",
        "                    if cancelled is not None and cancelled():\n                        continue\n",
        ("tests/unit/test_embedding.py::test_cancelling_keeps_what_was_computed",),
    ),
    Stub(
        "symlinks-followed-out",
        "a link in the folder shows any file of the computer",
        "explorer/collection/sources/files.py",
        "        if not self.contains(real):\n",
        "        if False:\n",
        ("tests/unit/test_sources.py::test_links_stay_inside",),
    ),
    # --- the classifier ---
    Stub(
        "scores-constant",
        "every picture gets the same score",
        "explorer/learning/classifier.py",
        "        return self.calibration.logits(self.scores(vectors), shares)\n",
        "        return np.zeros((len(vectors), 1), np.float32) + np.where(np.isfinite(self.bias), 0, -np.inf)\n",
        ("tests/unit/test_classifier.py::test_it_is_right_on_pictures_it_has_not_seen",),
    ),
    Stub(
        "judged-on-its-own-answers",
        "the quality that is shown is that on the answers it has learnt from",
        "explorer/learning/classifier.py",
        "    held_out = targets - left_out / root\n",
        "    held_out = (X @ weights + constant).astype(np.float64)\n",
        ("tests/unit/test_classifier.py::test_answers_that_mean_nothing_are_judged_so",),
    ),
    Stub(
        "new-answers-ignored",
        "the first scores of a question are kept for ever",
        "explorer/learning/live.py",
        "(held.seq, held.class_ids, held.method) == (seq, question.class_ids, method_of(question))\n",
        "held.class_ids == question.class_ids and held.ready\n",
        ("tests/unit/test_live.py::test_each_answer_moves_the_scores_and_an_undo_moves_them_back",),
    ),
    Stub(
        "the-graph-says-nothing",
        "answers are not spread along the neighbour graph",
        "explorer/learning/spreading.py",
        "    return (centred / (mean.sum(axis=1, keepdims=True) + _FAINT)).astype(np.float32)\n",
        "    return np.zeros_like(centred, np.float32)\n",
        ("tests/unit/test_scoring.py::test_the_graph_adds_to_what_a_few_answers_reach",),
    ),
    Stub(
        "useful-is-any",
        "the most useful pictures are the first ones",
        "explorer/learning/suggestions.py",
        "    doubtful = _distinct(situation, _top(situation.doubt[rows], rows, _DOUBTFUL))\n",
        "    return _distinct(situation, rows)[:n]\n",
        ("tests/unit/test_suggestions.py::test_useful_pictures_are_doubtful_and_unlike_each_other",),
    ),
    Stub(
        "scans-are-not-checked",
        "orders come from the bytes alone",
        "explorer/learning/scoring.py",
        "        if self.error is None:\n            return largest(odds, n, allowed)\n",
        "        return largest(odds, n, allowed)\n",
        ("tests/unit/test_scoring.py::test_orders_and_decisions_are_those_of_float32",),
    ),
    # --- the door, and what leaves ---
    Stub(
        "everybody-may",
        "authorise lets everybody do everything",
        "explorer/sharing/access.py",
        "    if who is None:\n        raise Refused",
        "    return\n    if who is None:\n        raise Refused",
        ("tests/unit/test_access.py",),
    ),
    Stub(
        "door-open",
        "no cookie is asked for",
        "explorer/web/gate.py",
        '        if scope["path"] in OPEN_PATHS or person_of(connection, self.token) is not None:\n',
        "        if True:\n",
        ("tests/unit/test_gate.py",),
    ),
    Stub(
        "formulas-run",
        "a caption that begins with = runs in the spreadsheet that opens the list",
        "explorer/sharing/exports.py",
        """        return "'" + value\n""",
        "        return value\n",
        ("tests/unit/test_exports.py",),
    ),
    # --- the space ---
    Stub(
        "neighbours-random",
        "pictures like this one are any pictures",
        "explorer/space/index.py",
        "        found, scores = _without_self(found, scores, np.arange(start, stop))\n",
        "        found, scores = _without_self(found, scores, np.arange(start, stop))\n"
        "        found = np.random.default_rng(start).integers(0, n, found.shape)\n",
        ("tests/unit/test_index.py::test_the_graph_is_that_of_a_plain_comparison",),
    ),
    Stub(
        "search-random",
        "a search gives back some pictures with honest-looking scores",
        "explorer/space/index.py",
        "    order = np.lexsort((found, -scores), axis=1)\n",
        "    found = np.random.default_rng(0).integers(0, len(vectors), found.shape)\n"
        "    order = np.lexsort((found, -scores), axis=1)\n",
        ("tests/unit/test_index.py::test_search_finds_the_largest_first", "tests/unit/test_space.py"),
    ),
    Stub(
        "map-unseeded",
        "the map is another one each time it is made",
        "explorer/space/projection.py",
        "            random_state=seed,\n            n_jobs=1,\n",
        "            random_state=None,\n            n_jobs=1,\n",
        ("tests/unit/test_projection.py::test_what_is_near_lies_near_and_twice_the_same",),
    ),
    Stub(
        "map-random",
        "the dots of the map are strewn anywhere",
        "explorer/space/projection.py",
        "    return fitted(_umap(start, neighbours, distances, seed))\n",
        "    return fitted(np.random.default_rng(seed).normal(size=(len(vectors), 2)))\n",
        ("tests/unit/test_projection.py::test_what_is_near_lies_near_and_twice_the_same",),
    ),
    Stub(
        "outliers-random",
        "odd ones out are drawn by lot",
        "explorer/space/outliers.py",
        "    score = (percentile(lonely) + percentile(far)) / 2\n",
        "    score = np.random.default_rng(seed).random(len(vectors))\n",
        ("tests/unit/test_outliers.py::test_lonely_and_far_pictures_come_first",),
    ),
    Stub(
        "duplicates-never-found",
        "nothing is ever there twice",
        "explorer/space/duplicates.py",
        "    return [(a, b, alike) for (a, b), alike in sorted(found.items()) if _same(small[a], small[b])]\n",
        "    return []\n",
        ("tests/unit/test_outliers.py::test_groups_of_copies_hold_files_and_pictures_saved_again",),
    ),
    # --- second looks, what leaves ---
    Stub(
        "second-looks-by-lot",
        "answers are doubted by lot",
        "explorer/learning/second_looks.py",
        "    issues = issues[judged[y[issues]]]\n",
        "    issues = np.random.default_rng(0).permutation(len(y))[: len(issues)]\n",
        ("tests/unit/test_second_looks.py::test_turned_answers_come_first",),
    ),
    Stub(
        "table-held-whole",
        "a table is put together before any of it leaves",
        "explorer/sharing/answer_sheet.py",
        "PIECE = 8_192",
        "PIECE = 10**9",
        ("tests/unit/test_exports.py::test_many_pictures_leave_in_pieces",),
    ),
    Stub(
        "report-hides-silence",
        "the report does not say which parts of the collection no answer speaks of",
        "explorer/sharing/untested.py",
        "    said += parts\n",
        "",
        ("tests/unit/test_report.py::test_what_it_was_not_tested_on",),
    ),
    # --- what is claimed of the whole ---
    Stub(
        "checks-like-any-answer",
        "pictures picked for a reason are taken for drawn by lot",
        "explorer/learning/estimates.py",
        "        at = np.flatnonzero(checks)\n",
        "        at = np.arange(len(checks))\n",
        ("tests/unit/test_estimates.py::test_the_intervals_hold_the_truth_though_most_pictures_are_picked_unfairly",),
    ),
    Stub(
        "stop-at-a-glance",
        "the stopping rule holds for one look only",
        "explorer/learning/finish.py",
        "RISK = 0.05",
        "RISK = 0.9",
        ("tests/unit/test_finish.py::test_looking_again_and_again_misleads_in_less_than_one_of_twenty",),
    ),
    Stub(
        "forecast-without-luck",
        "a forecast is as narrow as a fitted curve",
        "explorer/learning/curve.py",
        "_LUCK, _LUCK_GROWS = 0.53, 0.3",
        "_LUCK, _LUCK_GROWS = 0.0, 0.3",
        ("tests/unit/test_curve.py::test_the_forecast_holds_and_is_narrower_than_knowing_nothing",),
    ),
    Stub(
        "threshold-of-the-answers",
        "precision is counted among the answers, not carried to the collection",
        "explorer/learning/thresholds.py",
        "_TRUST = 0.6",
        "_TRUST = 60.0",
        ("tests/unit/test_thresholds.py::test_the_intervals_hold_in_the_whole_collection",),
    ),
    Stub(
        "f1-is-precision",
        "F1 forgets what was missed",
        "explorer/learning/closer_look.py",
        "shared = _share(right, there + taken - right, weight)",
        "shared = _share(right, taken, weight)",
        ("tests/unit/test_closer_look.py::test_each_class_is_counted_as_scikit_learn_counts_it",),
    ),
    # --- the routes ---
    Stub(
        "map-one-colour",
        "every dot has the colour of the first value",
        "explorer/web/colours.py",
        'codes = values.map(lambda v: NO_VALUE if v == "" else place_of.get(v, fallback)).to_numpy().astype(np.uint8)',
        "codes = np.zeros(len(values), np.uint8)",
        ("tests/unit/test_routes.py::test_the_map_is_what_the_space_says_and_the_filter_takes_dots_off_it",),
    ),
    Stub(
        "bulk-answers-again",
        "a request for many that is sent again is expanded again",
        "explorer/web/bulk.py",
        "        if known:\n            return _said(rt, question, batch_id, known, 0, duplicate=True)\n",
        "",
        ("tests/unit/test_bulk.py::test_a_group_is_answered_once_and_taken_back_as_one",),
    ),
    Stub(
        "bulk-over-old-answers",
        "many at once takes the place of answers that were given before",
        "explorer/web/bulk.py",
        "        rows = rows[~have[rows]]\n",
        "        rows = rows[rows >= 0]\n",
        ("tests/unit/test_bulk.py::test_a_group_is_answered_once_and_taken_back_as_one",),
    ),
    Stub(
        "recent-forgets-undo",
        "what was taken back is still offered to be taken back",
        "explorer/web/recent.py",
        "                off.add(row.undoes)\n",
        "                pass\n",
        ("tests/unit/test_bulk.py::test_what_was_answered_last_is_known_after_the_page_was_left",),
    ),
]
