"""Bottom-up saliency of videos: flicker and motion by hand, and clips in which what changes must win."""

import numpy as np
import pytest
import torch

from cv_attention import saliency as s
from cv_attention.saliency.methods.model_free.itti import _STEPS, _before, _gabor, _motion


def itti(images):
    return s.itti_koch_niebur(None, images, enlarge=128)


def squares(frames, moved=(0, 0), dim=()):
    """Nine equal squares, (1, 3, frames, 96, 96); the one at row 1, column 2 moves, or is dim in some frames."""
    clip = torch.full((1, 3, frames, 96, 96), 0.2)
    for frame in range(frames):
        for row in range(3):
            for column in range(3):
                y, x = 10 + 32 * row, 10 + 32 * column
                odd = (row, column) == (1, 2)
                y, x = (y + moved[0] * frame, x + moved[1] * frame) if odd else (y, x)
                clip[:, :, frame, y : y + 8, x : x + 8] = 0.5 if odd and frame in dim else 0.8
    return clip


@pytest.mark.parametrize("angle", range(4))
def test_motion_by_hand(angle):
    energy = torch.rand(6, 1, 5, 7, generator=torch.Generator().manual_seed(0))  # two clips of three frames
    got = _motion(energy, _STEPS[angle], clips=2)
    rows, columns = _STEPS[angle]
    values = energy[:, 0].numpy()
    for frame in range(6):
        last = frame if frame % 3 == 0 else frame - 1
        for y in range(5):
            for x in range(7):
                there = min(max(y - rows, 0), 4), min(max(x - columns, 0), 6)
                forth, back = values[frame][y, x] * values[last][there], values[last][y, x] * values[frame][there]
                assert got[frame, 0, y, x].item() == pytest.approx(abs(forth - back), abs=1e-6)


@pytest.mark.parametrize("angle", range(4))
def test_steps_cross_the_bars(angle):
    """Stripes that the filter of an orientation likes best do not change along them, and change across them."""
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    rows, columns = _STEPS[angle]
    length = np.hypot(rows, columns)
    stripes = torch.sin(2 * torch.pi * (rows * y + columns * x) / length / 7)[None, None]
    energies = [float(_gabor(stripes, other)[..., 10:30, 10:30].mean()) for other in range(4)]
    assert max(range(4), key=energies.__getitem__) == angle


def test_the_frame_before():
    frames = torch.arange(6.0).view(6, 1, 1, 1)
    assert _before(frames, clips=2).flatten().tolist() == [0, 0, 1, 3, 3, 4]


def test_a_video_that_stands_still_has_the_map_of_its_image():
    image = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    clip = itti(image[:, :, None].repeat(1, 1, 3, 1, 1))
    assert clip.shape == (2, 1, 3, 48, 64)
    torch.testing.assert_close(clip, 3 / 5 * itti(image)[:, :, None].repeat(1, 1, 3, 1, 1))


def test_the_first_frame_knows_no_motion():
    clip = squares(3, moved=(2, 0))
    torch.testing.assert_close(itti(clip)[:, :, 0], itti(clip[:, :, :1])[:, :, 0], rtol=0.01, atol=1e-4)


@pytest.mark.parametrize("moved", [(2, 0), (0, 2), (2, 2), (-2, 2), (0, -2)])
def test_what_moves_pops_out(moved):
    clip = squares(4, moved=moved)
    heat, still = itti(clip), itti(clip[:, :, 0])
    for frame in (1, 2, 3):
        y, x = divmod(int(heat[0, 0, frame].argmax()), 96)
        at = 14 + 32 + moved[0] * frame, 14 + 64 + moved[1] * frame
        assert max(abs(y - at[0]), abs(x - at[1])) <= 12  # a cell of scale 4
        assert heat[0, 0, frame, y, x] > 1.5 * 3 / 5 * still.max()


def test_what_flickers_pops_out():
    heat = itti(squares(4, dim=(1, 3)))
    for frame in (1, 2, 3):
        y, x = divmod(int(heat[0, 0, frame].argmax()), 96)
        assert max(abs(y - 46), abs(x - 78)) <= 12


def test_clips_do_not_see_each_other():
    clips = torch.cat([squares(3, moved=(0, 2)), squares(3, dim=(1,))])
    together = itti(clips)
    for number in range(2):
        torch.testing.assert_close(together[number : number + 1], itti(clips[number : number + 1]))
    torch.testing.assert_close(s.itti_koch_niebur(None, clips, enlarge=128, batch_size=1), together)


def test_volumes_of_other_channels_are_refused():
    with pytest.raises(ValueError, match=r"colour opponency needs RGB images .*or videos .*got .1, 1, 3, 48, 48"):
        itti(torch.rand(1, 1, 3, 48, 48))
