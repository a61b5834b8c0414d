"""Rewrites of the equations of NTM, DNC and MANN, slot by slot, on lists of Python's numbers and one episode."""

import math

EPSILON = 1e-6


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def cosine(a, b):
    return dot(a, b) / (math.sqrt(dot(a, a)) * math.sqrt(dot(b, b)) + EPSILON)


def softmax(scores):
    powers = [math.exp(score - max(scores)) for score in scores]
    return [power / sum(powers) for power in powers]


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def softplus(x):
    return math.log(1 + math.exp(x))


def layer(module, x):
    """A linear layer, as lists."""
    rows, bias = module.weight.tolist(), module.bias.tolist()
    return [dot(row, x) + b for row, b in zip(rows, bias, strict=True)]


def content(memory, key, strength):
    return softmax([strength * cosine(row, key) for row in memory])


def shift(weights, kernel):
    """w~(i) = sum_j w(j) s(i - j), on a circle."""
    slots, reach = len(weights), len(kernel) // 2
    moved = [0.0] * slots
    for j in range(slots):
        for offset in range(-reach, reach + 1):
            moved[(j + offset) % slots] += weights[j] * kernel[offset + reach]
    return moved


def sharpen(weights, power):
    powers = [weight**power for weight in weights]
    return [each / sum(powers) for each in powers]


def weighted(weights, memory):
    return [dot(weights, [row[place] for row in memory]) for place in range(len(memory[0]))]


def ntm(cell, inputs):
    """Runs an NTM's memory over inputs; returns what each step reads, its read weights and its write weights."""
    width, slots, heads = cell.width, cell.slots, cell.read_heads
    memory = [[1e-6] * width for _ in range(slots)]
    before = [[1.0] + [0.0] * (slots - 1) for _ in range(heads + 1)]
    steps = []

    def move(memory, said, weights):
        key, (strength, gate), rest = [math.tanh(k) for k in said[:width]], said[width : width + 2], said[width + 2 :]
        found = content(memory, key, softplus(strength))
        blended = [sigmoid(gate) * f + (1 - sigmoid(gate)) * w for f, w in zip(found, weights, strict=True)]
        return sharpen(shift(blended, softmax(rest[:-1])), 1 + softplus(rest[-1]))

    for x in inputs:
        said, change = layer(cell.address, x), layer(cell.change, x)
        size = len(said) // (heads + 1)
        said = [said[head * size : (head + 1) * size] for head in range(heads + 1)]
        write = move(memory, said[0], before[0])
        erase, add = [sigmoid(e) for e in change[:width]], [math.tanh(a) for a in change[width:]]
        memory = [
            [memory[i][j] * (1 - write[i] * erase[j]) + write[i] * add[j] for j in range(width)] for i in range(slots)
        ]
        read = [move(memory, said[head + 1], before[head + 1]) for head in range(heads)]
        before = [write, *read]
        steps.append(([weighted(weights, memory) for weights in read], read, [write]))
    return steps


def allocation(used):
    """a[phi_j] = (1 - u[phi_j]) prod_{i<j} u[phi_i], the usages kept from 0."""
    used = [EPSILON + (1 - EPSILON) * u for u in used]
    order = sorted(range(len(used)), key=lambda slot: (used[slot], slot))
    room, taken = [0.0] * len(used), 1.0
    for slot in order:
        room[slot] = (1 - used[slot]) * taken
        taken *= used[slot]
    return room


def dnc(cell, inputs):
    """Runs a DNC's memory over inputs; returns what each step reads, its read weights and its write weights."""
    width, slots, heads = cell.width, cell.slots, cell.read_heads
    every = range(slots)
    memory, links = [[0.0] * width for _ in every], [[0.0] * slots for _ in every]
    write, used, precedence = [0.0] * slots, [0.0] * slots, [0.0] * slots
    read = [[0.0] * slots for _ in range(heads)]
    steps = []
    for x in inputs:
        size = width + 5
        said = layer(cell.reading, x)
        said = [said[head * size : (head + 1) * size] for head in range(heads)]
        written = layer(cell.writing, x)
        key, strength = written[:width], 1 + softplus(written[width])
        erase, add = [sigmoid(e) for e in written[width + 1 : 2 * width + 1]], written[2 * width + 1 : 3 * width + 1]
        allocate, gate = sigmoid(written[-2]), sigmoid(written[-1])
        for i in every:
            kept = math.prod(1 - sigmoid(said[head][width + 1]) * read[head][i] for head in range(heads))
            used[i] = (used[i] + write[i] - used[i] * write[i]) * kept
        found, room = content(memory, key, strength), allocation(used)
        write = [gate * (allocate * room[i] + (1 - allocate) * found[i]) for i in every]
        memory = [[memory[i][j] * (1 - write[i] * erase[j]) + write[i] * add[j] for j in range(width)] for i in every]
        links = [
            [0.0 if i == j else (1 - write[i] - write[j]) * links[i][j] + write[i] * precedence[j] for j in every]
            for i in every
        ]
        precedence = [(1 - sum(write)) * precedence[i] + write[i] for i in every]
        before, read = read, []
        for head in range(heads):
            part = said[head]
            back, by_content, on = softmax(part[width + 2 :])
            found = content(memory, part[:width], 1 + softplus(part[width]))
            after = [dot(links[i], before[head]) for i in every]
            earlier = [sum(links[j][i] * before[head][j] for j in every) for i in every]
            read.append([back * earlier[i] + by_content * found[i] + on * after[i] for i in every])
        steps.append(([weighted(weights, memory) for weights in read], read, [write]))
    return steps


def mann(cell, inputs):
    """Runs the memory of Santoro et al. over inputs (write and address as in the paper): reads, then writes."""
    width, slots, heads = cell.width, cell.slots, cell.read_heads
    memory, used = [[0.0] * width for _ in range(slots)], [0.0] * slots
    read = [[1.0] + [0.0] * (slots - 1) for _ in range(heads)]
    steps = []
    for x in inputs:
        said, gates = layer(cell.query, x), [sigmoid(gate) for gate in layer(cell.gate, x)]
        keys = [[math.tanh(k) for k in said[head * width : (head + 1) * width]] for head in range(heads)]
        least = sorted(range(slots), key=lambda slot: (used[slot], slot))[:heads]
        write = [
            [gates[head] * read[head][i] + (1 - gates[head]) * (i == least[head]) for i in range(slots)]
            for head in range(heads)
        ]
        strengths = [1.0] * heads if cell.strength is None else [softplus(b) for b in layer(cell.strength, x)]
        read = [content(memory, keys[head], strengths[head]) for head in range(heads)]
        steps.append(([weighted(weights, memory) for weights in read], read, write))
        memory = [
            [
                (0.0 if i in least else memory[i][j]) + sum(write[head][i] * keys[head][j] for head in range(heads))
                for j in range(width)
            ]
            for i in range(slots)
        ]
        used = [0.95 * used[i] + sum(weights[i] for weights in (*read, *write)) for i in range(slots)]
    return steps


def matching(rows, query, strength):
    """The label of a query after Vinyals et al.: the labels of `rows`, (key, label) each, weighted by their cosines."""
    weights = softmax([strength * cosine(key, query) for key, _ in rows])
    return [sum(w * label[c] for w, (_, label) in zip(weights, rows, strict=True)) for c in range(len(rows[0][1]))]
