"""Where is the bright spot? Two coordinates from a picture with clutter."""
import sys
import torch
from torch import nn

torch.manual_seed(int(sys.argv[1]))


def spots(n, size=16):
    grid = torch.arange(size).float()
    centre = 2 + (size - 5) * torch.rand(n, 2)
    dy = grid[None, :, None] - centre[:, 0, None, None]
    dx = grid[None, None, :] - centre[:, 1, None, None]
    image = 2 * torch.exp(-(dy**2 + dx**2) / 4) + 0.2 * torch.randn(n, size, size)
    return image.unsqueeze(1), centre / size * 2 - 1


images_train, places_train = spots(1000)
images_test, places_test = spots(300)
net = nn.Sequential(
    nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.ReLU(),
    nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
    nn.Flatten(),
    nn.Linear(512, 64), nn.ReLU(),
    nn.Linear(64, 2),
)
criterion = nn.SmoothL1Loss(beta=0.1)
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(images_train, places_train), batch_size=40, shuffle=True
)
for epoch in range(12):
    total = 0.0
    for images, places in loader:
        optimizer.zero_grad()
        loss = criterion(net(images), places)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(images)
    print(f"epoch {epoch}: {total / len(images_train):.4f}")

net.eval()
with torch.no_grad():
    error = (net(images_test) - places_test).pow(2).mean()
print("score", (1 - error / places_test.var()).item())
