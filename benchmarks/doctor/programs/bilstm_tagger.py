"""Tag each word of short sentences; what a word is depends on its neighbours on both sides."""
import random
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(int(sys.argv[1]))
random.seed(int(sys.argv[1]))
PAD, IGNORE = 0, -100
vocabulary = 30


def sentence():
    words = [random.randint(1, vocabulary - 1) for _ in range(random.randint(5, 12))]
    tags = []
    for i, word in enumerate(words):
        before = words[i - 1] if i else 0
        after = words[i + 1] if i + 1 < len(words) else 0
        if word < 10:
            tags.append(0)
        elif word < 20:
            tags.append(1 if before < 15 else 2)
        else:
            tags.append(3 if after < 15 else 4)
    return words, tags


def batch_of(sentences):
    longest = max(len(words) for words, _ in sentences)
    tokens = torch.full((len(sentences), longest), PAD)
    labels = torch.full((len(sentences), longest), IGNORE)
    for i, (words, tags) in enumerate(sentences):
        tokens[i, : len(words)] = torch.tensor(words)
        labels[i, : len(tags)] = torch.tensor(tags)
    return tokens, labels


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 24, padding_idx=PAD)
        self.lstm = nn.LSTM(24, 32, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(0.1)
        self.classifier = nn.Linear(64, 5)

    def forward(self, tokens):
        states, _ = self.lstm(self.embedding(tokens))
        return self.classifier(self.dropout(states))


train_set = [sentence() for _ in range(1500)]
test_set = [sentence() for _ in range(400)]
model = Tagger()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for epoch in range(6):
    model.train()
    random.shuffle(train_set)
    for i in range(0, len(train_set), 30):
        tokens, labels = batch_of(train_set[i : i + 30])
        logits = model(tokens)
        loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

model.eval()
tokens, labels = batch_of(test_set)
with torch.no_grad():
    guessed = model(tokens).argmax(-1)
known = labels != IGNORE
print("score", (guessed[known] == labels[known]).float().mean().item())
