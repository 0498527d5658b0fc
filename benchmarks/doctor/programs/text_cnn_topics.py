"""Filters over neighbouring words tell what a short text is about."""
import random
import sys
import torch
from torch import nn
import torch.nn.functional as F

seed = int(sys.argv[1])
random.seed(seed)
torch.manual_seed(seed)
common = [f"w{i}" for i in range(40)]
topics = [[("red", "card"), ("own", "goal"), ("last", "minute")],
          [("interest", "rate"), ("last", "quarter"), ("own", "shares")],
          [("red", "shift"), ("dark", "matter"), ("last", "star")]]
vocabulary = ["<pad>", *common, *sorted({w for t in topics for pair in t for w in pair})]
index = {word: i for i, word in enumerate(vocabulary)}


def text(topic):
    words = [random.choice(common) for _ in range(random.randint(8, 18))]
    for _ in range(2):
        at = random.randrange(len(words))
        words[at:at] = random.choice(topics[topic])
    stray = random.choice(["red", "own", "last", "rate", "goal", "matter"])
    words.insert(random.randrange(len(words)), stray)
    return [index[w] for w in words][:24]


def dataset(n):
    labels = [random.randrange(3) for _ in range(n)]
    rows = [text(label) for label in labels]
    return torch.tensor([r + [0] * (24 - len(r)) for r in rows]), torch.tensor(labels)


class TextCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(len(vocabulary), 24, padding_idx=0)
        self.convs = nn.ModuleList([nn.Conv1d(24, 16, width, padding=1) for width in (2, 3, 4)])
        self.dropout = nn.Dropout(0.3)
        self.fc = nn.Linear(48, 3)

    def forward(self, tokens):
        x = self.embedding(tokens).transpose(1, 2)
        x = torch.cat([F.relu(conv(x)).amax(2) for conv in self.convs], dim=1)
        return self.fc(self.dropout(x))


train_tokens, train_labels = dataset(1500)
test_tokens, test_labels = dataset(500)
model = TextCNN()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(8):
    model.train()
    for rows in torch.randperm(len(train_tokens)).split(32):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(train_tokens[rows]), train_labels[rows])
        loss.backward()
        optimizer.step()
model.eval()
with torch.no_grad():
    print("score", (model(test_tokens).argmax(1) == test_labels).float().mean().item())
