"""Draws the playground's images and writes the text that each one shows to expected.json.

    python -m venv build/images
    build/images/bin/pip install -r playground/images/requirements.txt
    build/images/bin/python playground/images/make.py

The images and expected.json are committed, so only a change of this file needs Python. Text is listed in reading order.
"""

import json
from pathlib import Path

import noto_cjk_sans_otc
from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).parent
FONT = Path(noto_cjk_sans_otc.__file__).parent / 'NotoSansCJK-Regular.ttc'
SIMPLIFIED_CHINESE = 2  # index of the face in the collection

# name: size, background, rotation in degrees (counter-clockwise), shapes under the text, and the text: (x, y, pixels, colour, text)
SCENES = {
    'straight': {
        'size': (640, 400),
        'background': '#f6f1e4',
        'shapes': [('rectangle', (24, 24, 616, 376), None, '#3b3a36', 3), ('line', (24, 230, 616, 230), '#3b3a36', 2)],
        'text': [
            (48, 44, 22, '#5d5a52', 'DELIVER TO'),
            (48, 82, 40, '#1d1c1a', 'Ada Lovelace'),
            (48, 140, 30, '#1d1c1a', '12 St James Square'),
            (48, 182, 30, '#1d1c1a', 'London SW1Y 4JH'),
            (48, 248, 26, '#1d1c1a', 'Parcel 3 of 7'),
            (400, 248, 26, '#1d1c1a', '2.45 kg'),
            (48, 304, 40, '#a02c1c', 'RX 4071 8836 GB'),
        ],
    },
    'rotated-180': {
        'size': (560, 320),
        'background': '#14304f',
        'rotate': 180,
        'shapes': [('rectangle', (16, 16, 544, 304), None, '#8fb3d9', 2)],
        'text': [
            (48, 40, 52, '#ffffff', '会议室 B201'),
            (48, 124, 30, '#cfe2f7', 'Meeting room, 2nd floor'),
            (48, 182, 30, '#ffd479', '开放时间 09:00-18:30'),
            (48, 240, 26, '#cfe2f7', 'Please keep the door closed'),
        ],
    },
    'sizes': {
        'size': (720, 440),
        'background': '#ffffff',
        'text': [
            (32, 16, 96, '#101418', 'Headline'),
            (32, 150, 56, '#20406a', '字号五十六'),
            (32, 236, 36, '#6a2040', 'Thirty-six pixels'),
            (32, 298, 24, '#206a40', '二十四像素的文字'),
            (32, 346, 18, '#404040', 'Eighteen pixels is what a form uses'),
            (32, 384, 14, '#101418', 'Fourteen pixels: the small print at the foot of a page'),
        ],
    },
    'receipt': {
        'size': (480, 620),
        'background': '#fbfbf8',
        'shapes': [('line', (40, 170, 440, 170), '#777777', 2), ('line', (40, 440, 440, 440), '#777777', 2)],
        'text': [
            (128, 28, 46, '#111111', '山水茶馆'),
            (132, 104, 28, '#333333', 'Shanshui Tea'),
            (40, 196, 28, '#111111', '龙井茶 Longjing'),
            (360, 196, 28, '#111111', '48.00'),
            (40, 256, 28, '#111111', '乌龙茶 Oolong'),
            (360, 256, 28, '#111111', '36.50'),
            (40, 316, 28, '#111111', '桂花糕 Cake'),
            (360, 316, 28, '#111111', '18.00'),
            (40, 376, 28, '#111111', '服务费 10%'),
            (360, 376, 28, '#111111', '10.25'),
            (40, 464, 34, '#111111', '合计'),
            (330, 464, 34, '#111111', '112.75'),
            (72, 548, 28, '#333333', '谢谢惠顾，欢迎再来。'),
        ],
    },
    'skewed': {
        'size': (600, 320),
        'background': '#fff3b8',
        'rotate': 5,
        'text': [
            (60, 44, 38, '#2a2a2a', 'Shopping on Friday'),
            (60, 112, 32, '#2a2a2a', '牛奶 2 瓶，面包 1 个'),
            (60, 172, 32, '#2a2a2a', 'Coffee (dark), 250 g'),
            (60, 232, 32, '#8a1f1f', 'Call 020-7946-0018'),
        ],
    },
    'paragraph': {
        'size': (760, 420),
        'background': '#f4f4f6',
        'text': [
            (40, 30, 34, '#1a1a1a', '短歌行'),
            (40, 96, 28, '#1a1a1a', '对酒当歌，人生几何。'),
            (40, 144, 28, '#1a1a1a', '譬如朝露，去日苦多。'),
            (40, 216, 24, '#33475b', 'Wine is poured, so let us sing:'),
            (40, 260, 24, '#33475b', 'how many days has a life?'),
            (40, 304, 24, '#33475b', 'Few as drops of morning dew,'),
            (40, 348, 24, '#33475b', 'and too many are gone already.'),
        ],
    },
    'sideways': {
        'size': (460, 220),
        'background': '#1f5d3a',
        'rotate': 90,
        'text': [
            (40, 36, 56, '#ffffff', '安全出口'),
            (40, 126, 50, '#ffffff', 'EMERGENCY'),
        ],
    },
}


def draw(scene):
    """One scene as a picture, turned last, as a camera would see it."""
    image = Image.new('RGB', scene['size'], scene['background'])
    canvas = ImageDraw.Draw(image)
    for kind, points, *style in scene.get('shapes', []):
        if kind == 'rectangle':
            fill, outline, width = style
            canvas.rectangle(points, fill=fill, outline=outline, width=width)
        else:
            fill, width = style
            canvas.line(points, fill=fill, width=width)
    for x, y, pixels, colour, text in scene['text']:
        canvas.text((x, y), text, font=ImageFont.truetype(FONT, pixels, index=SIMPLIFIED_CHINESE), fill=colour)
    degrees = scene.get('rotate', 0)
    return image.rotate(degrees, resample=Image.Resampling.BICUBIC, expand=degrees % 90 == 0, fillcolor=scene['background'])


def main():
    expected = {}
    for name, scene in SCENES.items():
        draw(scene).save(HERE / f'{name}.png', optimize=True)
        expected[f'{name}.png'] = [text for *_, text in scene['text']]
    lines = json.dumps(expected, ensure_ascii=False, indent=2)
    (HERE / 'expected.json').write_text(lines + '\n', encoding='utf-8', newline='\n')


main()
