"""Make the demo collection `data/clipart` from Debian's package `openclipart-png`.

    apt-get download openclipart-png
    python data/make_clipart.py openclipart-png_*_all.deb        # or the folder it was unpacked into

The same package gives the same files, byte for byte, with the same Pillow. The package holds pictures of up to 623
megapixels, so every header is read before anything is decoded.
"""

import argparse
import csv
import hashlib
import io
import re
import subprocess
import tempfile
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageStat

HERE = Path(__file__).resolve().parent
LONGEST_SIDE = 288
JPEG_QUALITY = 85
MAX_PIXELS = 20_000_000
MIN_SIDE = 48
MAX_ASPECT = 3.5
MOST_PER_FOLDER = 230
MOST_SIGNS = 130
"""They are plainer than the rest and would weigh too much."""
SECOND_COPIES = 6
"""One in so many of the pictures that the package holds twice stays in the demo twice, so that there are duplicates
to find, without their filling it."""

FOLDERS: dict[str, tuple[str, ...]] = {
    "animals": ("animals",),
    "buildings": ("buildings",),
    "food": ("food",),
    "maps": ("geography",),
    "music": ("recreation/music",),
    "office": ("office",),
    "people": ("people",),
    "plants": ("plants",),
    "signs": ("transportation/roadsigns", "transportation/aiga-symbols"),
    "tools": ("tools",),
    "transportation": ("transportation",),
}
"""Our folder -> the package's folders it is taken from. A picture that lies in several belongs to the first."""

NOT_THESE = re.compile(
    r"weapon|gallows|grenade|gun_01|sexy|stripper|pantyhose|cannabis|dead_frog|incazzato|cretina|pimp|chav_|kexi"
    r"|emule|menu_example|boating_rules|bullet|skull|crossbones|meatgrinder|feet_in_sandals|female_rollandin"
    r"|silhouette_(fe)?male|elfish_girl|felipe_macie|luther_king|coltrane|einstein|vgcats|domo_kun|gameboy|tatoo"
)
"""By file name: what does not belong in front of everybody, portraits of real people, products, pages of text."""

AUTHORS = (
    "a.j._ashton abiclipart afief_halumi aj_ashton alejandro_tejada alex_fernandez alex_kuehne ali_hussn amos "
    "andreas_nilsson andremarcel andrew_fitzsimon angelo_gelmi anita anonymous anthony_liekens aragorn "
    "architetto_francesco_rollandin astrid_graeber aubanel_monnier benji_park bram_gronemeyer brice_boyer "
    "cedric_bosdonnat celso_junior charles_mccolm chaspo chris_hinsley christian_h. christoph_brill clemente "
    "costea_bogdan dan_gerhard dan_gerhards dan_gerhrads daniel_steele danny_allen dave_pena david_wislon "
    "davide_pesenti dennis_bolton didier_fabert dirk_struve donna_i emule.org enrique_meza_c erich_schubert "
    "erik_postma etienne_bersac fco._andrade francesco_rollandin frederic_moser frouke fudriot_omic.ch "
    "gabrielle_nowicki ganson geraint_luff gerald_g. ghuul_ghuul gino_rivera giuseppe_m goneri_le_bouder "
    "graig_ryan_smith guillaume_boitel guziec hans_deragon israel_c jaime_sanchez jakob_chaosinfarkt james_birkett "
    "james_kilfiger janet_theobroma jarno_vasamaa jean-victor_balin jean-vitor_balin jean_victor_balin "
    "jean_vitor_balin jeff_simpson joel_montes joerg_rosenbauer jon_campbell jon_phillips jonadab_the_unsightly "
    "jonathan_dietrich jonathon_s jonvdveen jordan_wiens jorg_rosenbauer juliane_krug jure_kodzoman jurgen "
    "jurgen_gaeremyn k_yager karl_bartel kevin_cowan kilian_valkhof konstantin_r. kurt_cagle kurt_nordstrom "
    "leif_lodahl leigh_purdie linda_kim lion_kimbro loic_corwin lorenzo_luengo lumen_design_studio marcelo_caiafa "
    "marcelo_staudt mariusz_k mark_nearing martin_schmidt-lindner massimo_aiello mateya matt_todd matthew_gates "
    "mauro_olivo michael_hart michael_ja michael_moore mike_honeychurch mike_smith mikhail_a.medvedev mimooh "
    "mirjam_meijer mirko_maischberger mitchell_johnson natasha nathan_eady nicolas_gagliani nicu_buculei nurbldoff "
    "olivier omar_abo-namous openclipart openclipart_c. orlando_karam patricia_fidi peterm petri_lummemaki "
    "philippe_colin ralf_stephan raphael_sebang renardjb_on_free.fr rgolan_sup rikva rollandin "
    "rollandin_francesco_architetto romus ron_golan rory_mccann ross_merrigan schwoo sergio_luiz_araujo "
    "seth_yastrow shandy_brown sherrera stefan_bazelkov stefan_gluck stefan_graubner stefan_illner stepan_klimov "
    "susan_park t._eitel taller_gafu tanguy_jacq terry_hancock tess_brady teudimundo thomas timothy_whitaker "
    "tobias_jakobs toh_yen_cheng tom_kra uliphant utrescu virginie_moutot vladimir_hernandez yemu yogesh_kanitkar "
    "yves_guillou "
).split()
FILE_NAME_LENGTH = 23
"""The package cuts "title_author" after so many characters, then adds a number."""


@dataclass(frozen=True)
class Drawing:
    folder: str
    source: str
    """Path inside the package."""
    jpeg: bytes


def caption(stem: str) -> str:
    """The drawing's title in words: `gatto_nero_architetto_fr_01` -> `gatto nero`."""
    bare = re.sub(r"(_+\d{1,3}[a-z]?|_[a-z]?|_)$", "", stem.lower())
    cut = len(bare) >= FILE_NAME_LENGTH - 1
    bare = re.sub(r"_+(http|www)[._].*$|^aiga_", "", bare).replace("b_amp_w", "bw")
    words = bare.split("_")
    for start in range(1, len(words)):
        rest = "_".join(words[start:]).strip("_").rstrip("0123456789")
        whole = rest == "mo" or any(rest == author or rest.startswith(author + "_") for author in AUTHORS)
        if whole or (cut and len(rest) > 2 and any(author.startswith(rest) for author in AUTHORS)):
            words = words[:start]
            break
    else:
        if cut and len(words) > 2 and len(words[-1]) < 3 and not words[-1].isdigit() and words[-1] != "bw":
            words.pop()
    text = re.sub(r"[-\s]+", " ", " ".join(words))
    text = re.sub(r"\b(md|v0\.1|bw)\b", lambda found: "black and white" if found[0] == "bw" else "", text)
    text = re.sub(r"(?<=[a-z]{3})\d+\b|\b\d{2,}\b", "", text)
    return re.sub(r"\s+", " ", text).strip(" .") or stem.replace("_", " ").strip()


def small_jpeg(path: Path) -> bytes | None:
    """The drawing small, on white, as JPEG; None where its size or its emptiness speaks against it."""
    with Image.open(path) as image:  # reads the header alone
        width, height = image.size
        if width * height > MAX_PIXELS or min(width, height) < MIN_SIDE:
            return None
        if max(width, height) > MAX_ASPECT * min(width, height):
            return None
        rgba = image.convert("RGBA")
    rgba.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    on_white = Image.new("RGB", rgba.size, "white")
    on_white.paste(rgba, mask=rgba.getchannel("A"))
    if max(ImageStat.Stat(on_white).stddev) < 6:  # white on white, or one flat colour
        return None
    out = io.BytesIO()
    on_white.save(out, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return out.getvalue()


def _order(text: str) -> str:
    """A shuffle that does not depend on a random generator."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def candidates(package: Path) -> dict[str, list[Path]]:
    """Our folder -> its files in the package, shuffled, without what NOT_THESE leaves out."""
    taken: set[Path] = set()
    result: dict[str, list[Path]] = {}
    # the narrower folders first, so that transportation does not take the road signs
    for folder, places in sorted(FOLDERS.items(), key=lambda pair: -min(place.count("/") for place in pair[1])):
        found = {path for place in places for path in (package / place).rglob("*.png")} - taken
        taken |= found
        names = [path for path in found if not NOT_THESE.search(path.relative_to(package).as_posix())]
        result[folder] = sorted(names, key=lambda path: _order(path.relative_to(package).as_posix()))
    return {folder: result[folder] for folder in FOLDERS}


def choose(package: Path) -> list[Drawing]:
    drawings: list[Drawing] = []
    places: dict[str, list[str]] = {}
    homes: dict[str, set[str]] = {}
    by_folder = candidates(package)
    for folder, paths in by_folder.items():
        for path in paths:
            content = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
            homes.setdefault(content, set()).add(folder)
    for folder, paths in by_folder.items():
        kept = 0
        for path in paths:
            if kept == (MOST_SIGNS if folder == "signs" else MOST_PER_FOLDER):
                break
            content = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
            if "signs" in homes[content] and folder != "signs":
                continue  # the package has its road signs once more beside the cars
            copies = len(places.get(content, []))
            if copies == 2 or (copies == 1 and int(content[:8], 16) % SECOND_COPIES):
                continue
            jpeg = small_jpeg(path)
            if jpeg is None:
                continue
            source = path.relative_to(package).as_posix()
            places.setdefault(content, []).append(source)
            drawings.append(Drawing(folder, source, jpeg))
            kept += 1
    return sorted(drawings, key=lambda drawing: (drawing.folder, drawing.source))


def write(drawings: list[Drawing], target: Path, version: str) -> None:
    """Write `target`/<folder>/<name>.jpg, clipart.csv and nothing else; older pictures there are removed."""
    for old in target.glob("*/*.jpg"):
        old.unlink()
    rows = []
    used: Counter[str] = Counter()
    for drawing in drawings:
        stem = Path(drawing.source).stem
        name = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")
        used[f"{drawing.folder}/{name}"] += 1
        if used[f"{drawing.folder}/{name}"] > 1:
            name += f"-{used[f'{drawing.folder}/{name}']}"
        image = f"{drawing.folder}/{name}.jpg"
        (target / drawing.folder).mkdir(parents=True, exist_ok=True)
        (target / image).write_bytes(drawing.jpeg)
        origin = f"openclipart-png {version}: {drawing.source}"
        rows.append([f"{drawing.folder}-{name}", image, drawing.folder, caption(stem), origin])
    with open(target / "clipart.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["key", "image", "folder", "caption", "origin"])
        table.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="the .deb, or the folder it was unpacked into")
    parser.add_argument("--target", type=Path, default=HERE / "clipart")
    parser.add_argument("--version", default="1:0.18+dfsg-19", help="of an unpacked package; a .deb knows its own")
    options = parser.parse_args()
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # sizes are checked above, before decoding
    Image.MAX_IMAGE_PIXELS = None
    with tempfile.TemporaryDirectory() as unpacked:
        package, version = options.package, options.version
        if package.is_file():
            show = subprocess.run(["dpkg-deb", "-f", package, "Version"], check=True, capture_output=True, text=True)
            version = show.stdout.strip()
            subprocess.run(["dpkg-deb", "-x", package, unpacked], check=True)
            package = Path(unpacked)
        below = package / "usr/share/openclipart/png"
        drawings = choose(below if below.is_dir() else package)
    write(drawings, options.target, version)
    for folder, count in sorted(Counter(drawing.folder for drawing in drawings).items()):
        print(f"{folder:>16} {count:5}")
    print(f"{'together':>16} {len(drawings):5}   {sum(len(drawing.jpeg) for drawing in drawings) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
