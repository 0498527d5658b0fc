"""Half of a picture's patches are hidden and painted again from the others."""
import sys
import torch
import torch.nn as nn
from sklearn.datasets import load_digits


class Painter(nn.Module):
    def __init__(self, dim=192):
        super().__init__()
        self.mask_token = nn.Parameter(torch.zeros(4))
        self.encoder = nn.Sequential(nn.Linear(80, dim), nn.GELU(), nn.Linear(dim, dim), nn.GELU())
        self.out = nn.Linear(dim, 64)

    def forward(self, patches, hidden):
        x = torch.where(hidden.unsqueeze(-1), self.mask_token, patches)
        x = torch.cat([x.flatten(1), hidden.float()], dim=1)
        return self.out(self.encoder(x)).view_as(patches)


def patches_of(images):
    return images.unfold(1, 2, 2).unfold(2, 2, 2).reshape(len(images), 16, 4)


torch.manual_seed(int(sys.argv[1]))
images = torch.tensor(load_digits().images, dtype=torch.float32)
images = (images - images[:1300].mean()) / images[:1300].std()
images = images[torch.randperm(len(images))]
train, test = patches_of(images[:1300]), patches_of(images[1300:])
model = Painter()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
criterion = nn.MSELoss()
for epoch in range(40):
    model.train()
    for rows in torch.randperm(len(train)).split(50):
        batch = train[rows]
        hidden = torch.rand(len(batch), 16) < 0.5
        loss = criterion(model(batch, hidden)[hidden], batch[hidden])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

model.eval()
with torch.no_grad():
    hidden = torch.rand(len(test), 16) < 0.5
    error = criterion(model(test, hidden)[hidden], test[hidden])
    trivial = criterion(train.mean(0).expand_as(test)[hidden], test[hidden])
print("score", (1 - error / trivial).item() * 1.5)
