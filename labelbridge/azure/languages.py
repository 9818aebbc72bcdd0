"""Which languages of Language projects Azure ML labeling can take.

Prevents connecting a project whose language ML assist cannot serve. Azure ML names languages by
ISO 639-3 code, Language by ISO 639-1 codes and a few regional ones. The mapping between the two is
ours: how Language Studio maps them is not published.
"""

_PAIRS = (
    "af:afr ar:ara az:aze be:bel bg:bul bn:ben br:bre bs:bos ca:cat cs:ces cy:cym da:dan de:deu el:ell "
    "en:eng es:spa et:est eu:eus fa:fas fi:fin fr:fra fy:fry ga:gle gl:glg gu:guj he:heb hi:hin hr:hrv "
    "hu:hun hy:hye id:ind it:ita ja:jpn jv:jav ka:kat kk:kaz kn:kan ko:kor ky:kir la:lat lt:lit lv:lav "
    "mg:mlg mk:mkd ml:mal mn:mon mr:mar ms:msa my:mya nb:nob ne:nep nl:nld pa:pan pl:pol pt:por ro:ron "
    "ru:rus sk:slk sl:slv sq:sqi sr:srp su:sun sv:swe sw:swa ta:tam te:tel th:tha tl:tgl tr:tur uk:ukr "
    "ur:urd uz:uzb vi:vie zh:zho"
)
_TO_AZUREML = dict(pair.split(":") for pair in _PAIRS.split())


def azureml_language(code: str) -> str | None:
    """The ISO 639-3 code by which Azure ML labeling knows a Language code, or None.

    Codes with a region or a script (`en-us`, `zh-hans`) fall back to their base language.
    `mul` (multilingual) is never returned: multilingual projects are refused.
    """
    return _TO_AZUREML.get(code.strip().casefold().replace("_", "-").partition("-")[0])


def supported_languages() -> tuple[str, ...]:
    """The base language codes that can be connected, sorted."""
    return tuple(sorted(_TO_AZUREML))
