"""What an answer says where photos are missing, in English and Russian."""

from collections.abc import Mapping

_TEXTS: Mapping[str, tuple[str, str]] = {
    "not on record": (
        "No photo has these words on record. These are by what they show:",
        "Этих слов нет ни в имени, ни в подписи ни одного фото. Вот найденные по содержанию:",
    ),
    "unknown words": (
        "This matcher knows none of these words. Use others.",
        "Модель не знает ни одного из этих слов. Попробуйте другие.",
    ),
    "no more": ("No more photos.", "Больше фото нет."),
    "filtered": ("No photo passes these filters.", "Под эти фильтры не подходит ни одно фото."),
    "empty": ("There is no photo to search.", "Искать не в чем: фото нет."),
}


def notice(key: str, language: str) -> str:
    """The text of a notice; any other language than Russian is English."""
    return _TEXTS[key][language.partition("-")[0].lower() == "ru"]
