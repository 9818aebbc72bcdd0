"""A labeler's hands: marking text by keys alone, or with the mouse."""

from playwright.sync_api import Page, expect


def mark_by_keyboard(page: Page, *, line: int, words: int, number: int) -> None:
    """Select the first words of a line by keys alone and mark them."""
    box = page.get_by_role("textbox", name="Text of")
    expect(box).not_to_be_empty()  # as below
    box.focus()
    page.keyboard.press("Control+Home")
    for _ in range(line):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Home")
    for _ in range(words):
        page.keyboard.press("Control+Shift+ArrowRight")
    page.keyboard.press(str(number))


def mark_by_mouse(page: Page, word: str, category: str) -> None:
    """Double-click a word and press the category's button."""
    box = page.get_by_role("textbox", name="Text of")
    expect(box).to_contain_text(word)  # the page shows its frame before it has the document
    place = box.evaluate(
        """(text, word) => {
            const walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
            while (walker.nextNode()) {
                const at = walker.currentNode.data.indexOf(word);
                if (at < 0) continue;
                const range = document.createRange();
                range.setStart(walker.currentNode, at);
                range.setEnd(walker.currentNode, at + word.length);
                const { x, y, width, height } = range.getBoundingClientRect();
                return { x: x + width / 2, y: y + height / 2 };
            }
        }""",
        word,
    )
    page.mouse.dblclick(place["x"], place["y"])
    page.get_by_role("group", name="Categories").get_by_role("button", name=category).click()
