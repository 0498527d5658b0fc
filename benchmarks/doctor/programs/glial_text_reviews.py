"""Short reviews by a network of words from Glial's table."""
import random
import sys
import torch

import glial

seed = int(sys.argv[1])
random.seed(seed)
torch.manual_seed(seed)
good, bad = "fine warm bright kind clever".split(), "dull cold slow rude broken".split()
things = "film room plot meal staff phone view".split()
words = ["<pad>", "not", "very", "the", "is", "and", *good, *bad, *things]
code = {word: i for i, word in enumerate(words)}


def review():
    label = random.randint(0, 1)
    parts = []
    for _ in range(random.randint(2, 3)):
        turned = random.random() < 0.4
        chosen = random.choice((good if label else bad) if not turned else (bad if label else good))
        parts += ["the", random.choice(things), "is", *(["not"] if turned else random.choice([[], ["very"]])), chosen, "and"]
    tokens = [code[w] for w in parts[:-1]]
    return tokens + [0] * (18 - len(tokens)), label


written = {tuple(tokens): label for tokens, label in (review() for _ in range(1600))}
rows, labels = zip(*written.items())
tokens, labels = torch.tensor(rows), torch.tensor(labels)
train_tokens, train_labels, test_tokens, test_labels = tokens[:1100], labels[:1100], tokens[1100:], labels[1100:]
model = glial.models.build("text_gru", vocabularies=[len(words)], num_outputs=2, num_units=32)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
criterion = torch.nn.CrossEntropyLoss()
for epoch in range(6):
    model.train()
    for batch in torch.randperm(len(train_tokens)).split(40):
        optimizer.zero_grad()
        loss = criterion(model(train_tokens[batch]), train_labels[batch])
        loss.backward()
        optimizer.step()
model.eval()
with torch.no_grad():
    print("score", (model(test_tokens).argmax(1) == test_labels).float().mean().item())
