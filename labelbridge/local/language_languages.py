"""Languages of the custom text features, as `global/languages` lists them.

The codes are those of Microsoft's language support page for custom named entity recognition,
with `en` and `zh-hant`, which the API's own list has. A region variant (`fr-fr`) counts as its
base language; how Azure treats variants that it does not list is not published.
"""

_NAMES = """
af Afrikaans|am Amharic|ar Arabic|as Assamese|az Azerbaijani|be Belarusian|bg Bulgarian|bn Bengali
br Breton|bs Bosnian|ca Catalan|cs Czech|cy Welsh|da Danish|de German|el Greek|en English
en-us English|eo Esperanto|es Spanish|et Estonian|eu Basque|fa Persian|fi Finnish|fr French
fy Western Frisian|ga Irish|gd Scottish Gaelic|gl Galician|gu Gujarati|ha Hausa|he Hebrew|hi Hindi
hr Croatian|hu Hungarian|hy Armenian|id Indonesian|it Italian|ja Japanese|jv Javanese|ka Georgian
kk Kazakh|km Khmer|kn Kannada|ko Korean|ku Kurdish (Kurmanji)|ky Kyrgyz|la Latin|lo Lao|lt Lithuanian
lv Latvian|mg Malagasy|mk Macedonian|ml Malayalam|mn Mongolian|mr Marathi|ms Malay|my Burmese|ne Nepali
nl Dutch|nb Norwegian (Bokmal)|or Odia|pa Punjabi|pl Polish|ps Pashto|pt-br Portuguese (Brazil)
pt-pt Portuguese (Portugal)|ro Romanian|ru Russian|sa Sanskrit|sd Sindhi|si Sinhala|sk Slovak
sl Slovenian|so Somali|sq Albanian|sr Serbian|su Sundanese|sv Swedish|sw Swahili|ta Tamil|te Telugu
th Thai|tl Filipino|tr Turkish|ug Uyghur|uk Ukrainian|ur Urdu|uz Uzbek|vi Vietnamese|xh Xhosa
yi Yiddish|zh-hans Chinese (Simplified)|zh-hant Chinese (Traditional)|zu Zulu
"""

LANGUAGES: dict[str, str] = dict(
    entry.split(" ", 1) for line in _NAMES.strip().splitlines() for entry in line.split("|")
)
"""Code -> English name."""


def supported(code: str) -> bool:
    """True if a project or document may be in this language."""
    folded = code.casefold()
    return folded in LANGUAGES or folded.split("-", 1)[0] in LANGUAGES
