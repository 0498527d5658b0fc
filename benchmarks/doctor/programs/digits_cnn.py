import sys
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


class ConvNet(nn.Module):
    def __init__(self):
        super(ConvNet, self).__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.fc = nn.Linear(32 * 2 * 2, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.flatten(1)
        return self.fc(x)


seed = int(sys.argv[1])
torch.manual_seed(seed)
digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
labels = torch.tensor(digits.target)
train_idx, test_idx = train_test_split(range(len(labels)), test_size=0.3, random_state=seed)
train_images, train_labels = images[train_idx], labels[train_idx]
test_images, test_labels = images[test_idx], labels[test_idx]

model = ConvNet()
optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(train_images, train_labels), batch_size=64, shuffle=True
)
for epoch in range(12):
    model.train()
    for data, target in loader:
        optimizer.zero_grad()
        output = model(data)
        loss = F.cross_entropy(output, target)
        loss.backward()
        optimizer.step()

model.eval()
correct = 0
with torch.no_grad():
    for i in range(0, len(test_images), 100):
        out = model(test_images[i:i + 100])
        correct += (out.argmax(1) == test_labels[i:i + 100]).sum().item()
print("score", correct / len(test_images))
