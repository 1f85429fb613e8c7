"""The stubs: real parts replaced by something that only looks as if it worked.

`old` must be in the file exactly once. When a part is rewritten its stub is rewritten with it; a test says which.
"""

from tests.mutants.runner import Stub

ANSWERS = "tests/unit/test_answers.py"
IMAGES = "tests/unit/test_images.py"

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
        "explorer/learning/answers.py",
        "touched.add(self._turn(row.undoes, False))",
        "touched.add(self._uid.get(row.undoes))",
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
]
