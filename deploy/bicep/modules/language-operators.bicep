// Gives the operator role on the Language resource.
param accountName string
param roleGuid string
param groups string[]

resource account 'Microsoft.CognitiveServices/accounts@2024-10-01' existing = {
  name: accountName
}

resource operators 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for group in groups: {
  scope: account
  name: guid(account.id, group, roleGuid)
  properties: {
    principalId: group
    principalType: 'Group'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleGuid)
  }
}]
