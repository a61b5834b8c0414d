"""The backbone `glimpse` in plain loops: pixels are looked up one by one, layers are written out."""

import math

import torch


def pixel(image, x, y):
    """One value (C,) at a fractional pixel position, 0 outside; pixel i is centred at i."""
    height, width = image.shape[1:]
    left, top = math.floor(x), math.floor(y)
    value = torch.zeros(image.shape[0], dtype=image.dtype)
    for row in (top, top + 1):
        for column in (left, left + 1):
            if 0 <= row < height and 0 <= column < width:
                value = value + (1 - abs(x - column)) * (1 - abs(y - row)) * image[:, row, column]
    return value


def retina(image, place, patch, scales):
    """Patches (scales, C, patch, patch) of an image (C, H, W) around `place` (x, y) from -1 to 1."""
    height, width = image.shape[1:]
    x, y = (float(place[0]) + 1) / 2 * width, (float(place[1]) + 1) / 2 * height  # in pixels from the edge
    found = torch.zeros(scales, image.shape[0], patch, patch, dtype=image.dtype)
    for scale in range(scales):
        factor = 2**scale
        for row in range(patch):
            for column in range(patch):
                for i in range(factor):
                    for j in range(factor):
                        below = (row * factor + i + 0.5) - patch * factor / 2
                        beside = (column * factor + j + 0.5) - patch * factor / 2
                        found[scale, :, row, column] += pixel(image, x + beside - 0.5, y + below - 0.5) / factor**2
    return found


def linear(layer, vector):
    result = [sum(w * v for w, v in zip(row, vector, strict=True)) for row in layer.weight.tolist()]
    if layer.bias is not None:
        result = [value + bias for value, bias in zip(result, layer.bias.tolist(), strict=True)]
    return result


def relu(vector):
    return [max(value, 0.0) for value in vector]


def forward(model, image, places=None):
    """Logits and places of one image in evaluation, with the linear encoder; given `places` are taken as they are."""
    state, visited = [0.0] * model.recur.weight.shape[0], []
    for step in range(model.steps):
        if places is not None:
            place = places[step]
        elif step == 0:
            place = [0.0, 0.0]
        else:
            hidden = relu(linear(model.locator[0], state))
            place = [math.tanh(value) for value in linear(model.locator[2], hidden)]
        visited.append(place)
        numbers = retina(image, place, model.patch, model.scales).flatten().tolist()
        what = relu(linear(model.what.out, numbers))
        where = relu(linear(model.where[0], place))
        joined = relu(linear(model.join, what + where))
        recurred, entered = linear(model.recur, state), linear(model.enter, joined)
        state = relu([one + other for one, other in zip(recurred, entered, strict=True)])
    return linear(model.fc, state), visited
